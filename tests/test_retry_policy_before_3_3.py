"""The retry policy on an Airflow that has none: before 3.3."""

from __future__ import annotations

import subprocess
import sys


def test_before_airflow_has_policies_the_import_says_so() -> None:
    code = (
        "import airflow.sdk as sdk; real = sdk.__getattr__\n"
        "def before(name):\n"
        "    if name in ('RetryPolicy', 'RetryDecision'): raise AttributeError(name)\n"
        "    return real(name)\n"
        "sdk.__getattr__ = before\n"
        "try:\n    import airflow_provider_veo3.retry_policy\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Veo3RetryPolicy needs Airflow 3.3")
