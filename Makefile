.PHONY: setup run test faults lint format docs bench crosscheck reports truth train clean
BIN := .venv/bin

setup:  ## everything for working on the project
	./setup dev

run:  ## the main job
	./setup && $(BIN)/bench run --defenses superiot,qusec --attacks all

test: setup
	$(BIN)/python -m pytest -q -n auto

faults: setup  ## SIGKILL, and Ctrl-C, at every single event of the store: up to two hours; goes on where it was stopped
	BENCH_EVERY_EVENT=1 $(BIN)/python -m pytest -q -m faults

lint: setup  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	$(BIN)/mkdocs build --strict

bench: setup  ## speed figures, against what is asked; writes reports/bench.json; needs BENCH_DATA_DIR
	tests/crosscheck/setup
	PYTHONPATH=tests $(BIN)/python -m benchmarks.run

crosscheck: setup  ## our attacks against Foolbox's and torchattacks'; writes reports/crosscheck; needs BENCH_DATA_DIR
	tests/crosscheck/setup
	PYTHONPATH=tests $(BIN)/crosscheck/bin/python -m crosscheck.run

reports: setup  ## rebuild the published comparisons; needs BENCH_DATA_DIR
	sh reports/make

truth: setup  ## exact robust accuracy of CQ-2 on MNIST, and every attack's distance from it; needs BENCH_DATA_DIR
	$(BIN)/bench run --datasets mnist --models cleverhans-cnn --defenses 'qusec-cq[levels=2]' --norm linf --eps 0.1 \
	  --attacks 'fgsm,pgd-linf,native-pgd-linf,native-apgd-dlr[steps=50,restarts=1],native-square-linf[steps=500]' \
	  --hardware none --budget standard --samples 1000 --no-html --out reports/.runs/truth
	$(BIN)/python -m bench_qusecnets.truth --records reports/.runs/truth --ask-solved 50 --ask-distance 1 --ask-minutes 30

train: setup  ## make the shipped weights again; needs BENCH_DATA_DIR
	$(BIN)/python -m bench_models.make_weights
	sh plugins/defenses/make-fits

clean:
	rm -rf .venv build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
