"""What a DAG file pays for importing providers; every DAG processor pays it again and again."""

from __future__ import annotations

import tempfile
from typing import Any, Final

from benchmarks import peers
from benchmarks.measuring import json_of, median, say, spread, table

TITLE: Final = "What importing the provider costs a DAG file"

REPEAT: Final = 5
"""Processes for each provider, in turn; one more goes before uncounted, since it writes the bytecode."""

REPEAT_OURS: Final = 15
"""Processes for ours, whose few milliseconds a busy moment can double."""

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
"""By distribution: package, what DAG files import of it, and what is left to the triggerer."""

SCRIPT: Final = """
import importlib, json, sys, time
import airflow.sdk
from airflow.sdk import DAG
if sys.argv[1] == "triggers":
    import airflow.triggers.base  # a triggerer and a DAG processor have it anyhow
before = set(sys.modules)
begun = time.process_time()
for name in sys.argv[2:]:
    importlib.import_module(name)
spent = time.process_time() - begun
new = set(sys.modules) - before
http = {"aiohttp", "grpc", "httpcore", "httpx", "requests", "urllib3"} & new
print(json.dumps({"ms": spent * 1000, "modules": len(new), "http": sorted(http)}))
"""


def run() -> str:
    """Import each in processes of its own, in turn, so that a busy moment hits all alike."""
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as home:
        # some systems forbid bytecode; an installed package has it
        env = {"AIRFLOW_HOME": home, "PYTHONDONTWRITEBYTECODE": ""}
        for turn in range(REPEAT_OURS + 1):
            say(f"imports, turn {turn} of {REPEAT_OURS}")
            for name, (package, dag_file, triggerer) in MODULES.items():
                if turn > REPEAT and name != OURS:
                    continue
                for kind, modules in (("dag", dag_file), ("triggers", dag_file + triggerer)):
                    paths = [f"{package}.{module}" for module in modules]
                    if name == OURS:
                        paths.insert(0, package)
                    told = json_of([peers.python(), "-c", SCRIPT, kind, *paths], env)
                    if turn:
                        measured.setdefault((name, kind), []).append(told)
    ours = _ms(measured[OURS, "dag"])
    rows = [
        [
            f"**{name}**" if name == OURS else f"{name} ({_what(dag_file)})",
            spread(_ms(measured[name, "dag"])),
            measured[name, "dag"][0]["modules"],
            f"{median(_ms(measured[name, 'dag'])) / median(ours):.0f}",
            spread(_ms(measured[name, "triggers"])),
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
        "Operators, sensors and links, imported after `from airflow.sdk import DAG`; processor time, median"
        f" (least-greatest) of {REPEAT} processes each, of ours {REPEAT_OURS}, in turn, in one environment:"
        f" {peers.versions('apache-airflow', *names)}. `CPU with triggers` imports the triggers too, after"
        " `airflow.triggers.base`, which a DAG processor and a triggerer have loaded before any DAG file.\n\n"
        f"{table(header, rows)}"
    )


def _ms(measured: list[dict[str, Any]]) -> list[float]:
    return [float(each["ms"]) for each in measured]


def _what(modules: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(module.rpartition(".")[2] for module in modules if ".links" not in module))
