//! Whether a text is a script. Only what no data begins with counts.

use memchr::memmem;

use crate::markup::begins;

/// Whether the text begins as a script does.
pub(crate) fn is_script(prefix: &[u8]) -> bool {
    let text = prefix.strip_prefix(b"\xef\xbb\xbf").unwrap_or(prefix);
    let text = text.trim_ascii_start();
    has_interpreter_line(text)
        || has_server_block(text)
        || OPENINGS.iter().any(|opening| begins(text, opening))
        || first_line_calls_a_shell(text)
}

/// `#!` and a path; a comment such as `#!important` is not one.
fn has_interpreter_line(text: &[u8]) -> bool {
    text.strip_prefix(b"#!")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"/"))
}

/// A block of a server page. A heading such as `<% of total` opens none, because nothing closes it.
fn has_server_block(text: &[u8]) -> bool {
    text.starts_with(b"<%") && memmem::find(text, b"%>").is_some()
}

const OPENINGS: &[&[u8]] = &[
    b"<?php",
    b"<?=",
    b"<%@",
    b"<%=",
    b"<%!",
    b"@echo off",
    b"@echo on",
    b"@powershell",
    b"powershell -",
    b"powershell.exe",
    b"pwsh -",
    b"#requires -",
    b"$erroractionpreference",
    b"javascript:",
    b"%!ps",
    b"windows registry editor version",
    b"regedit4\r",
    b"[internetshortcut]",
    b"[desktop entry]",
    b"[autorun]",
];

/// Calls that the scripting hosts of Windows and the web know, and that no header of a table has.
const CALLS: &[&[u8]] = &[
    b"wscript.",
    b"createobject(",
    b"activexobject(",
    b"invoke-expression",
    b"set-executionpolicy",
    b".downloadstring(",
    b"frombase64string(",
    b"document.write(",
];

/// A line longer than this is not looked at further; the first command of a script is short.
const FIRST_LINE_BYTES: usize = 1024;

fn first_line_calls_a_shell(text: &[u8]) -> bool {
    let head = &text[..text.len().min(FIRST_LINE_BYTES)];
    let end = memchr::memchr2(b'\n', b'\r', head).unwrap_or(head.len());
    let line = head[..end].to_ascii_lowercase();
    CALLS.iter().any(|call| memmem::find(&line, call).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found() {
        for text in [
            "#!/bin/sh\n",
            "#! /usr/bin/env python3\n",
            "\u{feff}#!/bin/sh",
            "\n\n@ECHO OFF\r\n",
            "<?php system($_GET['c']);",
            "<?PHP echo 1;",
            "<?= `id` ?>",
            "<%@ page language=\"java\" %>",
            "<% Runtime.getRuntime(); %>",
            "powershell -enc AAAA",
            "PowerShell.exe -File x",
            "Set s = CreateObject(\"WScript.Shell\")",
            "var s = new ActiveXObject('x')",
            "Windows Registry Editor Version 5.00\r\n",
            "[InternetShortcut]\nURL=file://x",
            "%!PS-Adobe-3.0",
        ] {
            assert!(is_script(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn data_is_not_taken_for_a_script() {
        for text in [
            "",
            "id,script,powershell\n1,#!/bin/sh,wscript.shell\n",
            "#!important,b\n",
            "# a comment\na,b\n",
            "@id,b\n",
            "powershell,b\n",
            "<5,b\n",
            "<% of total,b\n",
            "%,b\n",
            "echo,b\n",
        ] {
            assert!(!is_script(text.as_bytes()), "{text}");
        }
    }
}
