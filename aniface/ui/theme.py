"""The studio's looks: one theme for light and dark, every text at a contrast of at least 4.5 to 1."""

from __future__ import annotations

import gradio as gr

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


# --stage is the side of the map and of the portrait: what is left of the window beside everything else on the one screen.
CSS = """
.gradio-container { --stage: min(100%, max(260px, 100vh - 372px)); max-width: 1360px !important; padding: 8px 20px !important; }
.gradio-container main, .gradio-container .main { padding: 0 !important; }
#title { position: absolute; top: 10px; left: 20px; z-index: 2; width: auto; }
#title p { font-size: 13px; margin: 0; }
#title h1 { font-size: 21px; margin: 0 12px 0 0; letter-spacing: -0.3px; }
#title .prose > * { display: inline; }
#pages > .tab-wrapper .tab-container { justify-content: flex-end; }
#pages > .tab-wrapper .tab-container::after { display: none; }
.tab-wrapper { height: 34px; padding-bottom: 4px; }
.tab-wrapper button { font-size: 13.5px; padding: 4px 12px; }
.tabitem { border: 0 !important; padding: 4px 0 0 !important; }
#canvas, #swatches, #examples, #history, #references, :is(#canvas, #swatches, #examples, #history, #references) > div { padding: 0 !important; }
#portrait, #compare, #animation, #variants { width: var(--stage); aspect-ratio: 1; height: auto !important; margin: 0 auto; overflow: hidden; }
#portrait img, #animation img { width: 100%; aspect-ratio: 1; object-fit: contain; }
#variants .grid-wrap { height: 100% !important; max-height: none !important; padding: 0; }
#variants .grid-container { padding: 0; }
#below, #dicing { width: var(--stage); margin: 0 auto; flex-wrap: nowrap; align-items: center; }
#below .form { display: flex; flex-wrap: nowrap; flex: none; gap: 14px; background: none; border: 0; box-shadow: none; width: auto; min-width: 0; }
#below .block { background: none; box-shadow: none; padding: 0; flex: none; width: auto; min-width: 0 !important; }
#below label span { font-size: 13px; margin-left: 5px; }
#below button { flex: 1 1 60px; }
.dark .tab-wrapper button.selected { color: #b9a2ff; }
.hint p { font-size: 12.5px; color: var(--body-text-color-subdued); margin: 0; }
#colours { width: 100%; max-width: 1240px; margin: 12px auto; display: block; border-radius: 14px; }
#notice p { font-size: 12px; color: var(--body-text-color-subdued); margin: 0; }
footer { display: none !important; }
@media (max-width: 700px) {
  .gradio-container { padding: 8px 12px !important; }
  #title { position: static; }
  #examples, #history { flex: 1 1 100% !important; }
  #below .form { flex-wrap: wrap; gap: 4px 12px; flex: 1; }
  #pages > .tab-wrapper .tab-container { justify-content: flex-start; }
}
"""
