# make demo   installs into .venv/ and turns two shipped photos into 360 degree sequences in out/
# make test   installs into .venv/, checks format, lint and types, and runs the tests
# make test-slow   installs into .venv/, and runs the tests that take tens of seconds each or open Chromium
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WEIGHTS := $(VENV)/.weights
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

.PHONY: demo test test-slow install format clean

demo: $(READY)
	$(BIN)/viewfusion generate-360 data/real_images/bucket.png data/real_images/bottle_on_white.jpg \
		--views 16 --out out
	@echo "Look at contact_sheet.png and turntable.gif in out/bucket and out/bottle_on_white"

test: $(READY) $(WEIGHTS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

# The rest of the tests: pyproject.toml names what the suite leaves out unless asked.
test-slow: $(READY) $(WEIGHTS)
	$(PYTEST) -m 'slow or browser'

install: $(READY)

# torch goes first: a CPU build where one is at hand, and nothing later may replace it. So the extra [ldm]
# comes without the torchvision that taming-transformers asks for. CarveKit does need one, and lies with it in a
# folder that its own tests alone look into: beside a CPU torch it is broken, and breaks what looks for it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,evaluation,heic,reconstruction,render,segmentation,train]'
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps taming-transformers-rom1504 einops
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps --target $(VENV)/carvekit carvekit torchvision
	@touch $@

# What the tests of LPIPS, of the optical flow and of segmenters work with; 97 and 169 MB, once.
$(WEIGHTS): $(READY)
	$(BIN)/viewfusion metrics fetch
	$(BIN)/viewfusion segmenters fetch u2net u2netp
	@touch $@

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) out build *.egg-info
