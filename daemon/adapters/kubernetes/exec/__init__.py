"""Execs: the WebSocket, short commands, and the scripts that find a detached command again."""
