"""The emoji shortcodes that notices use; any other is shown as its shortcode."""

from __future__ import annotations

CHARACTERS = {
    "white_check_mark": "✅",
    "x": "❌",
    "leftwards_arrow_with_hook": "↩️",
    "fast_forward": "⏩",
    "white_circle": "⚪",
    "no_entry": "⛔",
    "raised_hand": "✋",
    "tada": "🎉",
    "incoming_envelope": "📨",
    "rotating_light": "🚨",
    "information_source": "ℹ️",
    "warning": "⚠️",
    "zzz": "💤",
    "rocket": "🚀",
}
