"""Whether a video file ends where it says it ends.

A download that broke off often still decodes, up to some frame. What a file promises differs by
its format; where nothing firm is promised the file passes. Frame counts and durations of mp4 are
no promise: a phone that trims a clip leaves the frames in and lists only those to show.
"""

from sign2gpt.video.source import ClipSource, open_source

_BLOCK_SLACK = 0.2  # seconds; a Matroska file's last block may leave its own length out


def ends_as_promised(path: ClipSource, format_name: str, end: float, promised: float) -> bool:
    """Compare a file with what its container says of it.

    Args:
        path: the file.
        format_name: FFmpeg's name of the container.
        end: seconds at which the last packet that was found ends.
        promised: seconds at which the container's header says it ends; 0 where it does not say.
    """
    if "mp4" in format_name:
        return _boxes_complete(path)
    if "matroska" in format_name and promised:
        return end > promised - _BLOCK_SLACK
    if format_name == "gif":
        with open_source(path) as file:
            file.seek(-min(1024, file.seek(0, 2)), 2)
            return file.read().rstrip(b"\0\r\n ").endswith(b";")  # the trailer, maybe padded
    return True


def _boxes_complete(path: ClipSource) -> bool:
    """Whether the boxes of an mp4, whose sizes are in the file, all end within it."""
    with open_source(path) as file:
        size, position = file.seek(0, 2), 0
        while position + 8 <= size:
            file.seek(position)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4]), head[4:8]
            if length == 1:  # too great for four bytes: eight more follow
                length = int.from_bytes(head[8:16])
            if length < 8:  # 0: to the end of the file; else what is no box is not ours to judge
                return True
            position += length
            if position > size:
                return kind not in (b"mdat", b"moov", b"moof")
    return True
