"""The model of Jenkins refuses what Jenkins would not take, before any of it runs."""

from dataclasses import replace

import pytest

from tests.pipelines.jenkins import Asked, Jenkins, Played

pytestmark = pytest.mark.pipeline

DONE = Asked()
# what is written in place of what, and what the model says of it
REFUSED = [
    ("triggers {", "trigger {", "pipeline: trigger is not known in this place"),
    ("triggers {", "triggers { cron('@daily') }\n  triggers {", "pipeline: triggers is there twice"),
    ("githubPush()", "", "triggers: is empty"),
    ("  agent none", "  // none", "pipeline: agent is missing"),
    ("steps {\n            sign", "step {\n            sign", "stage Deploy staging: step is not known"),
    ("steps { sh 'make scan' }", "when { branch 'main' }", "stage Scan: either steps or stages"),
    ("stage('Scan')", "stage('Check')", "stages: one name, twice"),
    ("sh 'make deploy ENV=prod'", "shell 'make deploy ENV=prod'", "no step or function is called shell"),
    ("allowEmptyResults", "allowEmptyResult", "junit: there is no allowEmptyResult"),
    ("junit testResults:", "junit checksName:", "junit: testResults is missing"),
    ("numToKeepStr", "numToKeep", "logRotator: there is no numToKeep"),
    (
        "lock(resource: 'slipway-prod')",
        "locked('slipway-prod')",
        "options: locked is not known in this place",
    ),
    ("lock(resource: 'slipway-prod')", "lock(resources: 'slipway-prod')", "lock: there is no resources"),
    ("timeout(time: 1,", "disableConcurrentBuilds(time: 1,", "options: disableConcurrentBuilds is not known"),
    ("branch 'main'", "branches 'main'", "when: branches is not known in this place"),
    ("beforeOptions true", "beforeOption true", "when: beforeOption is not known in this place"),
    ("unsuccessful {", "unsucessful {", "post: unsucessful is not known in this place"),
    ("      message 'Deploy to prod?'\n", "", "input: message is missing"),
    ('steps { echo "Approved by ${APPROVER}" }', "steps { sh 'true' }", "sh: needs an agent"),
    ("sh 'make plan ENV=prod'", "if (true) { sh 'true' }", "not what may stand in steps"),
    ("sh 'make plan ENV=prod'", "env.toString()", "not what may stand in steps"),
    ('"${params.IMAGES}"', "params.IMAGES", "not what may stand in environment"),
    ("${APPROVER}", "${APROVER}", "No such property: APROVER"),
    ("pipeline {", "pipelines {", "one pipeline { } is wanted at the top, not 0"),
    ("triggers {", "triggers", "startup failed"),
]


@pytest.fixture(scope="module")
def builds(jenkins: Jenkins) -> dict[str, Played]:
    texts = {f"{old}{new}": DONE.text.replace(old, new, 1) for old, new, _ in REFUSED}
    return jenkins.play({name: replace(DONE, text=text) for name, text in texts.items()})


@pytest.mark.parametrize(("old", "new", "why"), REFUSED, ids=[why for *_, why in REFUSED])
def test_what_is_wrong_is_refused_as_a_whole(old: str, new: str, why: str, builds: dict[str, Played]) -> None:
    assert old in DONE.text
    [note] = builds[f"{old}{new}"].notes
    assert why in note["refused"]
