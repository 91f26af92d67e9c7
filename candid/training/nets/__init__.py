"""The nets: one file a family, one door (`build_model`)."""

from candid.training.nets.registry import NETS, SETTINGS, body_layers, build_model

__all__ = ["NETS", "SETTINGS", "body_layers", "build_model"]
