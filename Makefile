# `make demo` (learn and translate an invented sign language), `make test`, and `make bench`
# (our fast paths against textbook code; `make bench ROWS=sign_encoder` for one row).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet

# A machine with an NVIDIA GPU gets the CUDA build of torch, any other the CPU one.
GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -c GPU)
ifeq ($(filter-out 0,$(GPU)),)
TORCH := $(PIP) --no-deps --retries 0 --constraint constraints-cpu.txt \
	--extra-index-url https://download.pytorch.org/whl/cpu torch
CONSTRAINTS := --constraint constraints-cpu.txt
else
TORCH := $(PIP) torch
endif

.PHONY: install demo test bench clean

install: $(VENV)/.installed-demo

demo: install
	$(BIN)/sign2gpt demo

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pytest -n auto

bench: install
	$(BIN)/python -m benchmarks $(ROWS)

$(VENV)/.torch: constraints-cpu.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(TORCH)
	touch $@

$(VENV)/.installed-%: pyproject.toml $(VENV)/.torch
	$(PIP) $(CONSTRAINTS) --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) build dist
