//! The upload page: a form that works by itself, and the places that the front end fills.

use maud::{Markup, html};

use super::layout::{Scripts, document};
use super::settings::{Extension, FormField, PageSettings, TraceUrl};
use crate::multipart::MAX_FILES;

/// The upload page.
pub fn upload_form(settings: &PageSettings) -> String {
    let traces = settings.trace_url.as_ref().map(TraceUrl::as_str);
    let main = html! {
        div class="intro" {
            h1 { "Send data files" }
            p class="lead" {
                "Each file is checked while it is being sent. One that passes is stored whole and verified; "
                "one that does not is not stored at all, and you see what to mend."
            }
        }
        // Fields stand before files: policies decide with them while the file is still coming.
        form id="upload" class="card upload" action="uploads" method="post" enctype="multipart/form-data" {
            @if !settings.fields.is_empty() {
                fieldset class="fields" {
                    legend { "About the data" }
                    @for field in &settings.fields { (question(field)) }
                    p class="hint" id="remembered" hidden { "Remembered in this browser." }
                }
            }
            (files(&settings.extensions))
        }
        section id="uploads" class="uploads" aria-labelledby="uploads-title" data-trace-url=[traces] hidden {
            div class="uploads-head" {
                h2 id="uploads-title" { "Your files" }
                p class="hint" id="summary" {}
                button type="button" class="quiet" id="clear" hidden { "Clear finished" }
            }
            ol id="upload-list" class="upload-list" {}
        }
        p id="announcer" class="unseen" role="status" aria-live="polite" {}
    };
    document(&settings.site_name, "Send data files", Scripts::Load, &main)
}

fn question(field: &FormField) -> Markup {
    let name = field.name.as_str();
    let id = format!("field-{name}");
    let hint_id = format!("hint-{name}");
    let described = (!field.hint.is_empty()).then_some(hint_id.as_str());
    html! {
        div class="field" {
            label for=(id) {
                (field.label)
                @if !field.required { " " span class="optional" { "optional" } }
            }
            @if field.choices.is_empty() || field.other {
                @let choices_id = format!("choices-{name}");
                @let list = (!field.choices.is_empty()).then_some(choices_id.as_str());
                input id=(id) name=(name) type="text" autocomplete="off" autocapitalize="off" spellcheck="false"
                    maxlength="200" required[field.required] list=[list] aria-describedby=[described];
                @if let Some(list) = list {
                    datalist id=(list) {
                        @for choice in &field.choices { option value=(choice) {} }
                    }
                }
            } @else {
                select id=(id) name=(name) required[field.required] aria-describedby=[described] {
                    option value="" { "Choose\u{2026}" }
                    @for choice in &field.choices { option value=(choice) { (choice) } }
                }
            }
            @if !field.hint.is_empty() { p class="hint" id=(hint_id) { (field.hint) } }
        }
    }
}

fn files(extensions: &[Extension]) -> Markup {
    let accepted: Vec<_> = extensions.iter().map(Extension::as_str).collect();
    let accept = (!accepted.is_empty()).then(|| accepted.join(","));
    html! {
        fieldset class="files" {
            legend { "Files" }
            div id="drop" class="drop" {
                p class="drop-title" id="drop-title" hidden { "Drop files or folders anywhere on this page" }
                p class="drop-or" id="drop-or" hidden { "or" }
                label class="choose" id="choose" for="file" { "Data files" }
                input id="file" name="file" type="file" multiple required accept=[accept] aria-describedby="file-hint";
                p class="hint" id="file-hint" {
                    @if !accepted.is_empty() { (listed(&accepted)) " files. " }
                    span id="at-once" { "At most " (MAX_FILES) " at once." }
                }
            }
            div class="actions" {
                button type="submit" class="primary" id="send" { "Check and upload" }
                p class="hint" id="send-hint" {}
            }
        }
    }
}

/// The words as people list them: `a, b or c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{CONTENT_SECURITY_POLICY, asset};

    fn settings(fields: &str) -> PageSettings {
        toml::from_str(fields).expect("is valid")
    }

    #[test]
    fn fields_stand_before_the_file_in_the_order_of_the_settings() {
        let page = upload_form(&PageSettings::default());
        let at = |name: &str| page.find(&format!(r#"name="{name}""#)).expect(name);
        assert!(
            at("cohort") < at("protocol_year")
                && at("protocol_year") < at("table")
                && at("table") < at("file")
        );
    }

    #[test]
    fn choices_are_a_list_and_other_values_can_be_allowed_beside_them() {
        let closed = "[[fields]]\nname = \"a\"\nlabel = \"A\"\nchoices = [\"x\"]";
        let page = upload_form(&settings(closed));
        assert!(
            page.contains("<select id=\"field-a\"")
                && page.contains(r#"<option value="x">x</option>"#)
        );
        let page = upload_form(&settings(&format!("{closed}\nother = true")));
        assert!(page.contains(r#"list="choices-a""#) && !page.contains("<select"));
    }

    #[test]
    fn what_a_site_writes_is_text_and_never_markup() {
        let hostile = r#"
            site-name = "<script>alert(1)</script>"
            [[fields]]
            name = "a"
            label = "\"><img src=x onerror=alert(1)>"
            choices = ["<b>"]
            hint = "<i>"
        "#;
        let page = upload_form(&settings(hostile));
        for markup in ["<script>", "<img src=x", "<b>", "<i>"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }

    #[test]
    fn the_page_needs_nothing_that_its_own_policy_forbids() {
        let page = upload_form(&PageSettings::default());
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
        assert!(
            !page.contains("<style") && !page.contains("javascript:"),
            "{page}"
        );
        for attribute in page
            .split('=')
            .filter_map(|before| before.split([' ', '"']).next_back())
        {
            assert!(
                attribute != "style" && !attribute.starts_with("on"),
                "{attribute}"
            );
        }
        for (at, _) in page.match_indices("<script") {
            assert!(
                page[at..].starts_with(r#"<script type="module" src="assets/"#),
                "{page}"
            );
        }
    }

    #[test]
    fn everything_that_the_page_loads_is_served() {
        let page = upload_form(&PageSettings::default());
        let names: Vec<_> = page
            .split("\"assets/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(names.len() >= 3, "{names:?}");
        for name in names {
            assert!(asset(name).is_some(), "{name}");
        }
    }
}
