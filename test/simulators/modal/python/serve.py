"""Serves images/modal_app.py as Modal would: its web function behind proxy authentication. Prints its port."""
import os
import socketserver
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import modal_app


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_args):
        pass


application = modal_app.web()


def guarded(environ, start_response):
    if environ.get("HTTP_MODAL_KEY") != os.environ["KEY"] or environ.get("HTTP_MODAL_SECRET") != os.environ["SECRET"]:
        start_response("401 .", [("Content-Type", "text/plain")])
        return [b"modal-http: missing credentials for proxy authorization"]
    return application(environ, start_response)


server = Server(("127.0.0.1", 0), Quiet)
server.set_app(guarded)
print(server.server_port, flush=True)
server.serve_forever()
sys.exit(0)
