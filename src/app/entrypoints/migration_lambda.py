"""AWS Lambda's other door: `aws lambda invoke` with {"action": ..} -> the schema is moved, or looked at."""

from typing import Any

from app import NAME
from app.foundation.logs import set_up_logs
from app.foundation.settings import load_settings
from app.migration.actions import Answer, Call, act

settings = load_settings()
set_up_logs(settings.log_level, f"{NAME}-migration")


def handler(event: dict[str, Any], context: Any) -> Answer:
    """What app.migration.actions.act answers; a failure raises, so that the invocation fails, too."""
    call = Call(
        settings,
        invoker=context.invoked_function_arn,
        function_version=context.function_version,
        left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    return act(call, event)
