"""Our fast paths against textbook code, one row a file: `python -m benchmarks [ROW ...]`.

A row is a module here that declares

    TITLE    what is measured, for the table
    CHECK    keyword arguments of `build` for a shape that runs in a moment and draws no random
             numbers: there `naive` and `fast` must return the same values (a test holds it)
    SHAPES   {name in the table: keyword arguments of `build`}
    build    (device, **shape) -> harness.Case
    TOGETHER names of shapes whose naive is the same code, so that they share its runs (optional)

No rows: `python -m benchmarks.memory` and `python -m benchmarks.compiled`.
"""

ROWS = (
    "frames",
    "sign_encoder",
    "pseudo_gloss_head",
    "generation",
    "input_pipeline",
    "stored_features",
    "training_step",
)
