"""Errors in the shape that OpenAI clients know."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class ApiError(Exception):
    """Answered as `status` with {"error": {message, type, param, code}}."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None

    def body(self) -> Mapping[str, Mapping[str, str | None]]:
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {
            "error": {
                "message": self.message,
                "type": kind,
                "param": self.param,
                "code": self.code,
            }
        }
