"""Cost of importing providers, which a DAG processor pays again and again."""

from __future__ import annotations

import tempfile
from typing import Any, Final

from benchmarks import peers
from benchmarks.harness import markdown_table, median, median_and_range, run_json, show_progress

TITLE: Final = "What importing the provider costs a DAG file"

RUNS: Final = 5
"""Measured processes for each provider; one more runs before them and writes the bytecode."""

RUNS_OURS: Final = 15
"""Measured processes for ours, whose few milliseconds a busy moment can double."""

OURS: Final = "this provider"

MODULES: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    OURS: (
        "airflow_provider_veo3",
        ("operators.generate", "operators.download", "sensors.generation", "links"),
        ("triggers.generation",),
    ),
    "airbyte": ("airflow.providers.airbyte", ("operators.airbyte", "sensors.airbyte"), ("triggers.airbyte",)),
    "http": ("airflow.providers.http", ("operators.http", "sensors.http"), ("triggers.http",)),
    "dbt-cloud": ("airflow.providers.dbt.cloud", ("operators.dbt", "sensors.dbt"), ("triggers.dbt",)),
    "openai": ("airflow.providers.openai", ("operators.openai",), ("triggers.openai",)),
    "amazon": (
        "airflow.providers.amazon.aws",
        ("operators.bedrock", "sensors.bedrock", "links.base_aws"),
        ("triggers.bedrock",),
    ),
    "google": (
        "airflow.providers.google",
        ("cloud.operators.gen_ai", "cloud.operators.vertex_ai.generative_model"),
        ("cloud.triggers.gen_ai",),
    ),
}
"""Package, modules that DAG files import, and modules that the triggerer imports, by provider."""

SCRIPT: Final = """
import importlib, json, sys, time
import airflow.sdk
from airflow.sdk import DAG
if sys.argv[1] == "triggers":
    import airflow.triggers.base  # a triggerer and a DAG processor have imported it before
before = set(sys.modules)
start = time.process_time()
for name in sys.argv[2:]:
    importlib.import_module(name)
spent = time.process_time() - start
new = set(sys.modules) - before
http = {"aiohttp", "grpc", "httpcore", "httpx", "requests", "urllib3"} & new
print(json.dumps({"ms": spent * 1000, "modules": len(new), "http": sorted(http)}))
"""


def run() -> str:
    """Import each provider in processes of its own, by turns to spread busy moments."""
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as home:
        # an installed package has bytecode, so write it even where the system forbids it
        env = {"AIRFLOW_HOME": home, "PYTHONDONTWRITEBYTECODE": ""}
        for turn in range(RUNS_OURS + 1):
            show_progress(f"imports, turn {turn} of {RUNS_OURS}")
            for name, (package, dag_file, triggerer) in MODULES.items():
                if turn > RUNS and name != OURS:
                    continue
                for kind, modules in (("dag", dag_file), ("triggers", dag_file + triggerer)):
                    paths = [f"{package}.{module}" for module in modules]
                    if name == OURS:
                        paths.insert(0, package)
                    result = run_json([peers.python(), "-c", SCRIPT, kind, *paths], env)
                    if turn:
                        measured.setdefault((name, kind), []).append(result)
    ours = _ms(measured[OURS, "dag"])
    rows = [
        [
            f"**{name}**" if name == OURS else f"{name} ({_module_names(dag_file)})",
            median_and_range(_ms(measured[name, "dag"])),
            measured[name, "dag"][0]["modules"],
            f"{median(_ms(measured[name, 'dag'])) / median(ours):.0f}",
            median_and_range(_ms(measured[name, "triggers"])),
            ", ".join(measured[name, "dag"][0]["http"]) or "none",
        ]
        for name, (_package, dag_file, _) in MODULES.items()
    ]
    header = [
        "provider",
        "CPU, ms",
        "new modules",
        "times ours",
        "CPU with triggers, ms",
        "HTTP libraries it loads",
    ]
    names = (f"apache-airflow-providers-{name}" for name in MODULES if name != OURS)
    return (
        "Operators, sensors and links, imported after `from airflow.sdk import DAG`. Processor time: median"
        f" (lowest-highest) of {RUNS} processes each, {RUNS_OURS} for ours, by turns, in one environment:"
        f" {peers.versions('apache-airflow', *names)}. `CPU with triggers` imports the triggers too, after"
        " `airflow.triggers.base`, which a DAG processor and a triggerer have loaded before any DAG file.\n\n"
        f"{markdown_table(header, rows)}"
    )


def _ms(measured: list[dict[str, Any]]) -> list[float]:
    return [float(each["ms"]) for each in measured]


def _module_names(modules: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(module.rpartition(".")[2] for module in modules if ".links" not in module))
