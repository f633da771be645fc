// Search in a page that was opened as a file: browsers start no worker from one, so a frame runs the worker's script.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const scope = frame.contentWindow;
      scope.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      scope.importScripts = (...scripts) => scripts.reduce(
        (before, script) => before.then(() => this._run(frame, script)), Promise.resolve());
      this._ready = this._run(frame, address);
      this._scope = scope;
      this.addEventListener("message", (event) => this.onmessage && this.onmessage(event));
    }

    postMessage(data) {
      this._ready.then(() => this._scope.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}

    _run(frame, address) {
      return new Promise((done, failed) => {
        const script = frame.contentDocument.createElement("script");
        script.src = new URL(address, location.href);
        script.onload = done;
        script.onerror = failed;
        frame.contentDocument.body.append(script);
      });
    }
  };
}
