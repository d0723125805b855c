"""The commands of `python -m eos`, a module each; `eos.__main__` lists them."""
