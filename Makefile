# make demo   runs a real model natively and in the JVM, side by side
# make test   runs every test that takes less than half a minute
# Everything is kept: .venv (Python packages), the local Maven repository (Java libraries), build/ (compiled Java). A second run
# does only what changed, and needs no network.

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-slow test-java lint format bench jar jars clean

VENV := .venv
PYTHON := $(VENV)/bin/python
# Named by its input, not dated: a fresh clone or a branch switch changes times, not what has to be installed.
PACKAGES := $(firstword $(shell sha256sum pyproject.toml))
JAR := kbridge/jvm/jars/kbridge-runtime.jar
JAVA_SOURCES := $(shell find java -type f 2>/dev/null)
GRADLE := gradle --offline --no-daemon --console=plain

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "make lint, make bench, make jar, make test-slow, make clean"

demo: $(VENV)/demo-$(PACKAGES) $(JAR)
	$(PYTHON) examples/emotion/demo.py

test: $(VENV)/test-$(PACKAGES) $(JAR) test-java
	$(PYTHON) -m pytest -n 2 --dist loadfile -m "not slow and not gpu"

test-slow: $(VENV)/dev-$(PACKAGES) $(JAR)
	$(PYTHON) -m pytest -m "slow and not gpu"

# Compiles, checks the javadoc, runs the Java tests, and publishes to the local Maven repository for examples/java.
test-java: jars
	$(GRADLE) build publishToMavenLocal

lint: $(VENV)/dev-$(PACKAGES)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/dev-$(PACKAGES)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/dev-$(PACKAGES) $(JAR)
	$(PYTHON) -m benchmarks.run

# ---- Java ----

# The third-party jars, those of the tests with them. A tenth of a second when all are there.
jars: $(VENV)/base-$(PACKAGES)
	@$(PYTHON) -m kbridge.jvm.jars runtime logging native dl4j test >/dev/null

jar: $(JAR)

$(JAR): build.gradle settings.gradle VERSION java/dependencies.txt kbridge/jvm/coordinates.txt $(JAVA_SOURCES) | jars
	$(GRADLE) -q packageJar
	@touch $@

# ---- Python ----

# .venv/<extra>-<hash of pyproject.toml> stands for `pip install -e .[<extra>]`. A larger set stands for those it includes, too.
INCLUDES_base :=
INCLUDES_demo := base
INCLUDES_test := demo base
INCLUDES_dev := test demo base

$(VENV)/%-$(PACKAGES):
	scripts/setup $*
	test -x $(PYTHON) || python3 -m venv $(VENV)
	@echo "Installing Python packages into $(VENV) (at first, a minute or more) ..."
	$(PYTHON) -m pip install -q --disable-pip-version-check -e '.$(if $(filter-out base,$*),[$*])'
	@touch $@ $(foreach set,$(INCLUDES_$*),$(VENV)/$(set)-$(PACKAGES))

# Leaves what was downloaded: the local Maven repository is everybody's.
clean:
	rm -rf $(VENV) build dist out .gradle kbridge/jvm/jars .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
