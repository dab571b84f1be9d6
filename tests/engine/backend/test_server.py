"""The port that the backend listens at."""

import socket

from engine.backend.server import listen
from engine.backend.settings import BackendSettings


def test_answers_do_not_wait_for_the_other_side_to_have_seen_their_head() -> None:
    with listen(BackendSettings(port=0)) as listening:
        address = listening.getsockname()
        with socket.create_connection(address), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
