"""Flags that several commands share."""

import argparse


def add_endpoint(parser: argparse.ArgumentParser) -> None:
    """What says which model answers, and where: `--model`, `--base-url`, `--adapter`."""
    parser.add_argument("-m", "--model", help="model name at --base-url, else folder or Hub id")
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint; key in AGENT_API_KEY")
    parser.add_argument("--adapter", help="LoRA adapter for --model")
