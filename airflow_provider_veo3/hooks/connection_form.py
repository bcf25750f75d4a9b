"""The connection form, from the provider's description, also for Airflow 3.0 and 3.1."""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_veo3 import get_provider_info

CONNECTION_TYPE: Final[dict[str, Any]] = get_provider_info()["connection-types"][0]
"""Name of the connection type, and label, default and range of each field."""


def ui_field_behaviour() -> dict[str, Any]:
    """Return the labels of the standard fields, for Airflow 3.0 and 3.1."""
    return {name.replace("-", "_"): value for name, value in CONNECTION_TYPE["ui-field-behaviour"].items()}


def form_widgets() -> dict[str, Any]:
    """Return the widgets of the extra fields, for Airflow 3.0 and 3.1."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from wtforms import StringField

    return {
        name: StringField(
            spec["label"],
            description=spec["description"],
            widget=BS3TextFieldWidget(),
            default=spec["schema"]["default"],
        )
        for name, spec in CONNECTION_TYPE["conn-fields"].items()
    }
