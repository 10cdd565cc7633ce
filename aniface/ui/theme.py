"""The studio's looks: one theme for light and dark, every text at a contrast of at least 4.5 to 1."""

from __future__ import annotations

import gradio as gr

from .parts import ASSETS

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif"]


def theme() -> gr.themes.Base:
    base = gr.themes.Base(
        primary_hue="violet",
        secondary_hue="pink",
        neutral_hue="slate",
        radius_size="lg",
        spacing_size="sm",
        font=FONTS,
        font_mono=["monospace"],
    )
    return base.set(
        body_background_fill="#f7f5fb",
        body_background_fill_dark="#17151f",
        body_text_color="#2a2438",
        body_text_color_dark="#ece9f5",
        body_text_color_subdued="#5d5670",
        body_text_color_subdued_dark="#b3adc4",
        background_fill_secondary="#efebf7",
        background_fill_secondary_dark="#262233",
        border_color_primary="#ddd6ea",
        border_color_primary_dark="#3a3450",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1f1c2a",
        block_border_width="0px",
        block_shadow="0 1px 3px rgb(60 40 110 / 0.08)",
        block_shadow_dark="none",
        block_label_text_color="#4c4560",
        block_label_text_color_dark="#cfc9de",
        block_title_text_color="#4c4560",
        block_title_text_color_dark="#cfc9de",
        block_title_text_weight="600",
        block_info_text_color="#5d5670",
        block_info_text_color_dark="#b3adc4",
        color_accent="*primary_600",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#2b2639",
        button_secondary_background_fill_hover="#efebf7",
        button_secondary_background_fill_hover_dark="#383149",
        button_secondary_border_color="#ddd6ea",
        button_secondary_border_color_dark="#3a3450",
        button_secondary_text_color="#2a2438",
        button_secondary_text_color_dark="#ece9f5",
        button_border_width="1px",
        input_border_width="1px",
        input_border_color="#ddd6ea",
        input_border_color_dark="#3a3450",
        input_background_fill="#ffffff",
        input_background_fill_dark="#262233",
    )


CSS = (ASSETS / "studio.css").read_text(encoding="utf-8")
