"""One pass over the shards of a split an epoch, in an order drawn from the seed.

What streams is the `datasets` library's: it reads the shards from disk or from the Hub, shuffles
their order and, through a buffer, their clips, and shares them out over processes and workers. Here
each clip that comes by gets its row, and becomes the item that random access would have given, to
the bit: augmentation follows from (seed, epoch, the row's number), not from when a clip comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from sign2gpt.data.dataset import ClipDataset
from sign2gpt.data.shards import VIDEO, ShardStore
from sign2gpt.data.store import ClipStore
from sign2gpt.errors import UserError, one_line

SHUFFLE_BUFFER = 256  # clips, undecoded, in each worker: some tens of MB


class StreamedClips(IterableDataset[dict[str, Any]]):
    """The clips of a split, each once an epoch.

    Its length is the clips of this process. Items as those of `clips`.

    Args:
        clips: the same clips by number, of a `ShardStore`; it decodes and augments.
        split: the split they are of.
        buffer: clips among which the next one is drawn.
        workers: processes that read and decode; more than there are shards have nothing to do.
        rank, world_size: this process among those that train together.

    Raises:
        UserError: not a store of shards, or the library `datasets` is not installed.
    """

    def __init__(
        self,
        clips: ClipDataset,
        split: str,
        *,
        buffer: int = SHUFFLE_BUFFER,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.clips = clips
        self.store = streamable(clips.store)
        self.workers = workers
        self._length = -(-len(clips) // world_size)
        self._numbers = {row.id: number for number, row in enumerate(clips.rows)}
        examples = _streamed(self.store.addresses(split))
        # Filled from ten shards at a time, by threads, whose end the library awaits for 5 seconds.
        examples = examples.shuffle(seed=clips.seed, buffer_size=buffer)
        if world_size > 1:
            from datasets.distributed import split_dataset_by_node

            examples = split_dataset_by_node(examples, rank, world_size)
        self._examples = examples

    def __len__(self) -> int:
        return self._length

    def set_epoch(self, epoch: int) -> None:
        """Draw order and augmentation anew; the Trainer calls it at the start of each epoch."""
        self.clips.set_epoch(epoch)
        self._examples.set_epoch(int(epoch))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Raises UserError for a shard or a clip that cannot be read."""
        # Workers of its own, which give single clips: they would fill the last batches of an
        # epoch each for itself, and its steps could not be counted beforehand.
        loader = DataLoader(
            self._examples, batch_size=None, num_workers=self.workers, collate_fn=self._item
        )
        with _reading(self.store):
            yield from loader

    def _item(self, example: dict[str, Any]) -> dict[str, Any]:
        number = self._numbers.get(str(example["id"]))
        if number is None:
            raise UserError(
                f"The shards of {self.store.name} have changed: the clip {example['id']!r} was not "
                "in them when they were opened; start again."
            )
        content = (example[VIDEO] or {}).get("bytes")
        clip = self.store.as_clip(self.clips.rows[number], content)
        return self.clips.item(number, clip)


def streamable(store: ClipStore) -> ShardStore:
    """The store, if it streams; UserError for a folder, or without the library `datasets`."""
    if not isinstance(store, ShardStore):
        raise UserError(
            f"{store.name} is no store of shards, and nothing else streams; make shards of it "
            "with `sign2gpt shards`, or set stream to false."
        )
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise UserError(
            "Streaming needs the library datasets; install it with "
            "`pip install 'sign2gpt[shards]'`, or set stream to false."
        ) from error
    return store


def _streamed(addresses: list[str]) -> Any:
    """The records of shards, undecoded: {"id": str, "video": {"bytes": bytes, "path": str}}."""
    from datasets import Video, load_dataset

    found = load_dataset("parquet", data_files={"all": addresses}, split="all", streaming=True)
    return found.select_columns(["id", VIDEO]).cast_column(VIDEO, Video(decode=False))


@contextmanager
def _reading(store: ShardStore) -> Iterator[None]:
    """Turns what a shard that is damaged or out of reach breaks into a sentence."""
    import pyarrow as pa
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except (pa.ArrowException, OSError, HTTPError) as error:
        raise UserError(
            f"A shard of {store.name} cannot be read any more ({one_line(error)}); copy or make "
            "the shards again, or try again when the network is back."
        ) from error
