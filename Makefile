# Two commands: `make demo` (learn and translate an invented sign language) and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# A machine with an NVIDIA GPU gets the CUDA build of torch, any other the CPU one.
GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -c GPU)
ifeq ($(filter-out 0,$(GPU)),)
CONSTRAINTS := -c constraints-cpu.txt
endif

.PHONY: install demo test bench clean

install: $(VENV)/.demo-installed

demo: install
	$(BIN)/sign2gpt demo

test: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints-cpu.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) --editable '.[demo]'
	touch $@

$(VENV)/.test-installed: pyproject.toml constraints-cpu.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS) --editable '.[test]'
	touch $@ $(VENV)/.demo-installed

clean:
	rm -rf $(VENV) build dist
