"""llama.cpp's own HTTP server: `python a_llama_server.py --model FILE.gguf --port PORT`."""

import argparse
import sys
import threading

import xllamacpp


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.port = options.port
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 2
    server = xllamacpp.Server(params)
    print("ready", server.listening_address, file=sys.stderr, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
