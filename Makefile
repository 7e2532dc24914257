# Every task, in one place. People and both pipelines call these targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
RUN := PYTHONPATH=src $(PY)
SCAN := .venv/pipelines/bin
# a tool's words where it finds something, and else ours
quietly = @said=$$($(SCAN)/$(1) 2>&1) || { echo "$$said"; exit 1; }; echo "$(firstword $(1)): $(2)"
# what is given counts as it stands: of a password or a URL, make would expand a $
raw = $(eval override $(1) := $$(value $(1)))$(eval export $(1))
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(call raw,$(name))))
OPS := exec env PYTHONPATH=src $(PY) -m ops

help: ## this list
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

# anew where the requirements changed, or where the Python it was made from is gone
.venv/.ready: requirements/dev.txt $(shell $(PY) -c '' 2>/dev/null || echo FORCE)
	@ops/install.sh

## Run it
dev: .venv/.ready ## serve on port 8000 with reload, on its own PostgreSQL
	@$(OPS) dev

lambda: .venv/.ready ## serve on port 3000 by the Lambda handler, in AWS's runtime emulator
	@$(OPS) lambda

up: .venv/.ready ## the container on a PostgreSQL 17, in Docker Compose, on port 8000
	@$(OPS) up

down: .venv/.ready ## stop it, and keep its data
	@$(OPS) down

logs: .venv/.ready ## what it says, as it comes; ENV=.. OF=api, task or migrate, FOLLOW=yes: in AWS
	@$(OPS) logs

sam-local: .venv/.ready ## `sam local start-api` on port 3000, on the database of `make up`
	@$(OPS) sam-local

sam-invoke: .venv/.ready ## `sam local invoke`, on the same: EVENT=events/migrate-upgrade.json
	@$(OPS) sam-invoke

demo: .venv/.ready ## 14 calls against any base URL: URL=.. EMAIL=.. PASSWORD=..
	@$(OPS) demo

## Its data
psql: .venv/.ready ## open the database
	@$(OPS) psql

migrate: .venv/.ready ## bring the database to the newest revision (ENV=..: in AWS; DO=current, DO=history)
	@$(OPS) migrate

plan: .venv/.ready ## the SQL that `make migrate` would run, and what is dangerous in it (ENV=..)
	@$(OPS) plan

downgrade: .venv/.ready ## back to a revision, after asking: TO=-1 (ENV=..)
	@$(OPS) downgrade

seed: .venv/.ready ## the first administrator: EMAIL=.. PASSWORD=..
	@$(OPS) seed

revision: .venv/.ready ## write a revision from the models: m="add age to users"
	@$(OPS) revision

reset: .venv/.ready ## forget the embedded database, after asking
	@$(OPS) reset

## Prove it
test: .venv/.ready ## all tests, on a real PostgreSQL (PG=17, T=tests/test_api.py)
	@$(RUN) -m pytest $(or $(T),--numprocesses=auto --dist=worksteal --cov --cov-fail-under=95)

cloud-test: .venv/.ready ## deploy the templates to an emulated AWS, with a real PostgreSQL
	@$(RUN) -m pytest -m cloud --verbosity=1 -n 2 --dist loadfile $(T)

check: .venv/.ready ## lint, format, types, direction, sizes, requirements, migrations
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --quiet --check .
	@$(RUN) -m mypy
	@.venv/bin/hadolint Dockerfile
	@$(RUN) .venv/bin/lint-imports --no-logo
	@$(RUN) -m ops size
	@$(RUN) -m ops lock --check
	@$(RUN) -m ops hazards
	@$(RUN) -m pytest --quiet tests/migrations

scan: .venv/.ready ## secrets in the history, dangerous code, faults of the workflows
	@$(RUN) -c 'from ops.tools import environment_of; environment_of("pipelines")'
	$(call quietly,gitleaks git . --config .github/gitleaks.toml --no-banner --verbose --redact,no secret in the history)
	$(call quietly,bandit --quiet --configfile pyproject.toml --recursive src ops,nothing dangerous in src and ops)
	$(call quietly,actionlint -shellcheck $(SCAN)/shellcheck,no fault in the workflows and their shell)
	$(call quietly,zizmor --offline --quiet .github,no hole in the workflows)
	$(call quietly,check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml,workflows as GitHub has them)
	$(call quietly,check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml,actions likewise)

bench: .venv/.ready ## cold starts and warm calls beside two peers (PAIRS=9); OF=locks: what a migration's neighbours notice
	@$(RUN) -m bench$(OF:%=.drill_%)

load: .venv/.ready ## visitors at URL=.. for a while: USERS=10 SECONDS=30 MOST_MS=1000
	@$(OPS) load

size: .venv/.ready ## lines against the budgets
	@$(OPS) size

## Ship it
build: .venv/.ready ## the artifact of every function: ARCH=arm64 or x86_64
	@$(OPS) build

deploy: .venv/.ready ## to AWS: ENV=dev, staging or prod; makes what is missing, migrates, looks at it
	@$(OPS) deploy

rollback: .venv/.ready ## back to ENV's release before this one, or to TO=.., without a build
	@$(OPS) rollback

url: .venv/.ready ## where ENV's release answers
	@$(OPS) url

preview: .venv/.ready ## one more release beside ENV's, with its own database: NAME=x; DOWN=yes deletes it
	@$(OPS) preview

destroy: .venv/.ready ## delete ENV's release and previews, after asking; DATA=yes: database and network, too
	@$(OPS) destroy

doctor: .venv/.ready ## what could keep a deployment of ENV from going well, each with what mends it
	@$(OPS) doctor

# what `sam build` calls, once for each function of template.yaml
build-ApiFunction build-MigrationFunction: .venv/.ready
	@$(OPS) build

# of the gate, what boto3, which Lambda has, leaves to be shipped: little, and so at once
GATE := $(addprefix app/,__init__.py entrypoints/__init__.py entrypoints/gate_lambda.py foundation/__init__.py foundation/invoke.py)
build-GateFunction build-ReleasedFunction:
	@for file in $(GATE); do \
	mkdir -p "$${ARTIFACTS_DIR:?}/$${file%/*}" && cp "src/$$file" "$$ARTIFACTS_DIR/$$file" || exit; done

## Change it
format: .venv/.ready ## format and fix what can be fixed
	@.venv/bin/ruff check --quiet --fix .
	@.venv/bin/ruff format --quiet .

lock: .venv/.ready ## compile the requirements files from pyproject.toml (UPGRADE=yes for newer)
	@$(OPS) lock

FORCE:

.PHONY: FORCE help dev lambda up down logs sam-local sam-invoke demo psql migrate plan downgrade seed revision reset test cloud-test check scan bench load size build deploy rollback url preview destroy doctor build-ApiFunction build-MigrationFunction build-GateFunction build-ReleasedFunction format lock
