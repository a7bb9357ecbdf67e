"""What is known of cache files: records, the stores that keep them, and the way to these."""

from __future__ import annotations

from imagekit_registry.state.access import (
    StateAccess,
    forget_local_states,
    get_database_access,
    get_state_access,
    get_state_store,
)
from imagekit_registry.state.cache import CacheStateStore
from imagekit_registry.state.database import DatabaseStateStore
from imagekit_registry.state.record import CacheFileRecord, Status
from imagekit_registry.state.scope import (
    Scope,
    close_request_scope,
    current_scope,
    images_left,
    open_request_scope,
    spend,
    state_scope,
)
from imagekit_registry.state.store import StateStore

__all__ = [
    "CacheFileRecord",
    "CacheStateStore",
    "DatabaseStateStore",
    "Scope",
    "StateAccess",
    "StateStore",
    "Status",
    "close_request_scope",
    "current_scope",
    "forget_local_states",
    "get_database_access",
    "get_state_access",
    "get_state_store",
    "images_left",
    "open_request_scope",
    "spend",
    "state_scope",
]
