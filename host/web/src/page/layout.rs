//! What all pages share: the head, the band with the mark, the foot.

use maud::{DOCTYPE, Markup, html};

use super::asset;

/// Whether a page loads the front end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scripts {
    Load,
    Leave,
}

/// A whole page. `site` may be empty. All addresses are relative to its own, so that a proxy may serve it below a path.
pub(super) fn document(site: &str, title: &str, scripts: Scripts, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " \u{2013} " @if site.is_empty() { "Portcullis" } @else { (site) } }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" type="image/svg+xml" href={ "assets/" (asset::mark()) };
                @for name in asset::stylesheets() {
                    link rel="stylesheet" href={ "assets/" (name) };
                }
                @if scripts == Scripts::Load {
                    @for name in asset::scripts() {
                        script type="module" src={ "assets/" (name) } {}
                    }
                }
            }
            body {
                a class="skip" href="#main" { "Skip to the content" }
                header class="band" {
                    div class="lintel" {
                        div class="lintel-inner" {
                            a class="brand" href="./" {
                                img src={ "assets/" (asset::mark()) } alt="" width="28" height="28";
                                span class="brand-name" { "Portcullis" }
                            }
                            @if !site.is_empty() { span class="brand-site" { (site) } }
                        }
                    }
                    div class="gate" aria-hidden="true" {}
                }
                main id="main" { (main) }
                footer class="foot" {
                    p {
                        "This server keeps no copy of what you send. Files pass through it, are checked on the way, "
                        "and are stored only on the protected side."
                    }
                }
            }
        }
    };
    page.into_string()
}
