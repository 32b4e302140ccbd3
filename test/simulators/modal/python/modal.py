"""As much of Modal's SDK as images/modal_app.py uses, run in this process: containers are threads, the GPU function is called as it is."""
import threading
import uuid


class _Chain:
    """Image builders, volumes and secrets: whatever is asked of them is they themselves."""

    def __getattr__(self, _name):
        return lambda *_args, **_options: self


Image = Volume = Secret = _Chain()


class Dict:
    def __init__(self):
        self.values = {}
        self.lock = threading.Lock()

    @staticmethod
    def from_name(_name, create_if_missing=False):
        return Dict()

    def put(self, key, value, skip_if_exists=False):
        with self.lock:
            if skip_if_exists and key in self.values:
                return False
            self.values[key] = value
            return True

    def get(self, key):
        return self.values.get(key)

    __getitem__ = get

    def __setitem__(self, key, value):
        self.values[key] = value


class FunctionCall:
    known = {}

    def __init__(self, work):
        self.object_id = f"fc-{uuid.uuid4()}"
        self.output, self.error, self.done = None, None, threading.Event()
        FunctionCall.known[self.object_id] = self
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work):
        try:
            self.output = work()
        except Exception as error:
            self.error = error
        self.done.set()

    @staticmethod
    def from_id(object_id):
        return FunctionCall.known[object_id]

    def get(self, timeout=None):
        if not self.done.wait(timeout):
            raise TimeoutError()
        if self.error is not None:
            raise self.error
        return self.output

    def cancel(self):
        self.error = RuntimeError("cancelled")
        self.done.set()


class _Stats:
    backlog = 0
    num_total_runners = 1


class _Method:
    def __init__(self, function):
        self.function = function

    def __get__(self, instance, _owner):
        self.instance = instance
        return self

    def spawn(self, *args):
        return FunctionCall(lambda: self.function(self.instance, *args))

    def get_current_stats(self):
        return _Stats()


class App:
    scaled = []

    def __init__(self, _name):
        pass

    def cls(self, **_options):
        def decorate(cls):
            cls.update_autoscaler = lambda _self, **options: App.scaled.append(options)
            return cls

        return decorate

    def function(self, **_options):
        return lambda function: function


def method():
    return _Method


def _plain(**_options):
    return lambda function: function


enter = exit = wsgi_app = _plain
