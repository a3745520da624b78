"""A compiled pipeline small enough to read: two steps, one of them inside a condition, and a second document."""

from pathlib import Path

from roadie.runs import Pipeline, load_pipeline

YAML = """\
# PIPELINE DEFINITION
pipelineInfo:
  name: small
components:
  comp-train:
    executorLabel: exec-train
  comp-push-modelcar:
    executorLabel: exec-push-modelcar
  comp-condition-1:
    dag:
      tasks:
        push-modelcar:
          cachingOptions: {enableCache: true}
          componentRef: {name: comp-push-modelcar}
          taskInfo: {name: push}
deploymentSpec:
  executors: {}
root:
  dag:
    tasks:
      train:
        cachingOptions: {enableCache: true}
        componentRef: {name: comp-train}
        taskInfo: {name: train}
      condition-1:
        componentRef: {name: comp-condition-1}
        taskInfo: {name: condition-1}
  inputDefinitions:
    parameters:
      model_name: {parameterType: STRING, defaultValue: jukebox, isOptional: true}
      image: {parameterType: STRING, defaultValue: '', isOptional: true}
      trigger: {parameterType: STRING, defaultValue: manual, isOptional: true}
      rows: {parameterType: NUMBER_INTEGER, defaultValue: 3.0, isOptional: true}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
---
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-train: {secretAsEnv: []}
"""

# The same, whose steps run in an image that a parameter names.
YAML_WITH_STEP_IMAGE = YAML.replace(
    "      rows:", "      step_image: {parameterType: STRING, defaultValue: '', isOptional: true}\n      rows:"
)


def small_pipeline(folder: Path) -> Pipeline:
    """The pipeline, written to `folder`."""
    path = folder / "small.yaml"
    path.write_text(YAML)
    return load_pipeline(str(path))
