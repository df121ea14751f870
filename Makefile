# make                      run the series on the built-in mini set into build/notebooks/, and end with a table
# make test                 run the tests
# make notebooks DATA=… OTHER=…   run the series in place on a folder, gtzan or mini, and so keep the outputs
# make lab                  open the notebooks in JupyterLab, in the browser
# make kernel               let every Jupyter and VS Code of this user run notebooks with this project's packages
# make site                 the series as web pages, and the Pico in a page: build/site/index.html, build/site/pico/
# make live                 the Pico in a page: written, served on this computer and opened
# make pretrained DATA=… OTHER=…   train the shipped model on a folder and rebuild data/pretrained/ and the sketch's headers
# make firmware             complete Arduino sketch folders and zips under build/
# make stress               long campaigns of faults and bad input: docs/reliability.md
# make audit                known security holes in the installed packages; fails also when one can't be looked up
# make bench DATA=…         cycles and bytes on the emulated Pico, speed of this machine: build/bench.json
.DEFAULT_GOAL := all
.PHONY: all test notebooks lab kernel site html live pretrained firmware bench stress audit clean

# the first Python of a version that TensorFlow supports
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
DATA ?= mini
export TF_CPP_MIN_LOG_LEVEL ?= 3
# a terminal without UTF-8 must not end a run at "…"
export PYTHONUTF8 = 1

$(VENV)/.run: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make needs Python 3.11, 3.12 or 3.13: install one, or say make PYTHON=/path/to/it"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	@$(RUN) -c 'import sys, sysconfig; sys.version_info >= (3, 13) and sysconfig.get_platform() == "linux-x86_64" and \
		print("cmsisdsp has no wheel for this Python: pip builds it from source, in up to three minutes")'
	$(RUN) -m pip install --quiet --prefer-binary --editable ".[run]"
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(RUN) -m pip install --quiet --prefer-binary --editable ".[dev]"
	touch $@

all: $(VENV)/.run
	MGR_WORK=build/work $(RUN) -m notebooks.run --data mini --output build/notebooks --summary

# agg only here: in the kernel of a notebook it would hide every picture
test: $(VENV)/.dev
	export MPLBACKEND=agg MGR_WORK=build/test-work; \
	$(RUN) -m pytest -m "not alone" --numprocesses 2 --dist loadfile; failed=$$?; \
	$(RUN) -m pytest -m alone --numprocesses 2 --dist loadgroup || failed=1; exit $$failed

notebooks: $(VENV)/.run
	$(RUN) -m notebooks.run --data "$(DATA)" $(if $(OTHER),--other $(OTHER)) --summary

$(VENV)/.lab: $(VENV)/.run
	$(RUN) -m pip install --quiet --prefer-binary --editable ".[lab]"
	touch $@

lab: $(VENV)/.lab
	$(RUN) -m jupyterlab --LabApp.default_url=/lab/tree/notebooks

# the set-up cell of the notebooks names this kernel
kernel: $(VENV)/.run
	$(RUN) -m ipykernel install --user --name music-genre-pico --display-name "Music genre (Pico)"

# `make html` was its name when it had only the series
site html: $(VENV)/.run
	$(RUN) -m tools.site
	$(RUN) -m tools.web

live: $(VENV)/.run
	$(RUN) -m tools.web --open

pretrained: $(VENV)/.run
	$(RUN) -m tools.pretrained --data "$(DATA)" $(if $(OTHER),--other $(OTHER))

firmware: $(VENV)/.run
	$(RUN) -m mgr_helpers firmware

bench: $(VENV)/.run
	$(RUN) -m tools.bench --audio "$(DATA)"

# its exit status is 1 when something broke
stress: $(VENV)/.dev
	MPLBACKEND=agg $(RUN) -m tests.stress

# asks the Python package index about every package that is installed
audit: $(VENV)/.run
	$(RUN) -m pip install --quiet --prefer-binary --editable ".[audit]"
	mkdir -p build
	$(RUN) -m pip freeze --exclude-editable > build/installed.txt
	$(RUN) -m pip_audit --strict --no-deps --disable-pip --requirement build/installed.txt

clean:
	rm -rf build
