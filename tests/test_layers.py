"""The house's floors: a module imports only from floors below its own."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "sign2gpt"
FLOORS = [  # from the ground up; modules on one floor know nothing of each other
    {"errors", "freed_memory", "interrupts"},
    {"progress", "parallel", "files"},
    {"model", "video", "text", "metrics", "spot"},
    {"data", "synth"},
    {"translate", "corpora"},
    {"train", "evaluate", "elan"},
    {"demo", "model_card"},
    {"export"},
    {"cli"},
]
MAY_USE = {("synth", "data"), ("evaluate", "train")}  # the corpus writes the ordinary manifest
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """What a file names of the package in its imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name for name in names if name.startswith("sign2gpt.")}
    return found


def imported_rooms(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imported(path)}


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_only_go_down(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        assert not imported_rooms(path)
        return
    for other in imported_rooms(path) - {own, "__version__"}:
        allowed = LEVEL[other] < LEVEL[own] or (own, other) in MAY_USE
        assert allowed, f"{path.relative_to(PACKAGE)} imports {other}, which is not below it"


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {module(path): path for path in PACKAGE.rglob("*.py")}

    def file_of(name: str) -> str:
        return name if name in files else name.rpartition(".")[0]

    uses = {own: {file_of(name) for name in imported(path)} - {own} for own, path in files.items()}
    TopologicalSorter(uses).prepare()  # CycleError names the files


def test_every_room_has_a_floor() -> None:
    assert {room(path) for path in PACKAGE.rglob("*.py")} - {"__init__"} == set(LEVEL)
