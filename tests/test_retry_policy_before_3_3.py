"""The retry policy on Airflow before 3.3, which has no retry policies."""

from __future__ import annotations

import subprocess
import sys


def test_without_retry_policies_in_airflow_the_import_says_so() -> None:
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
