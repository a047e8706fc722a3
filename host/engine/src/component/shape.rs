//! What a component is made of, counted before it is compiled: compiling is where a small file can ask for
//! much time and memory.

use portcullis_types::Sha256Digest;
use wasmparser::{Encoding, Parser, Payload};

use crate::Limits;
use crate::error::PolicyLoadError;

/// The most functions of all modules together: componentized Python has about 40,000.
const MAX_FUNCTIONS: u64 = 200_000;
/// The most bytes of one function: the interpreter loops of language runtimes have a few hundred thousand, and
/// compiling takes more than proportionally long.
const MAX_FUNCTION_BYTES: u64 = 1 << 20;
/// The most exports of the modules and components within together: those of language runtimes have a few
/// hundred.
const MAX_EXPORTS: u64 = 20_000;
/// The most imports, likewise.
const MAX_IMPORTS: u64 = 20_000;
/// The most types, likewise.
const MAX_TYPES: u64 = 100_000;
/// The most instances, aliases and lifted or lowered functions: what is linked when an instance is made.
const MAX_LINKS: u64 = 50_000;
/// The most modules and components within.
const MAX_PARTS: u64 = 100;

/// What was counted.
#[derive(Default)]
struct Counts {
    functions: u64,
    function_bytes: u64,
    exports: u64,
    imports: u64,
    types: u64,
    links: u64,
    parts: u64,
    memory_bytes: u64,
    table_elements: u64,
}

/// Counts, without compiling or validating anything.
///
/// # Errors
///
/// The file is no component, or there is too much of something: what, how much, and how much may be.
pub(crate) fn check(
    bytes: &[u8],
    digest: Sha256Digest,
    limits: &Limits,
) -> Result<(), PolicyLoadError> {
    if bytes.starts_with(b"\0asm") && !Parser::is_component(bytes) {
        return Err(PolicyLoadError::CoreModule(digest));
    }
    let mut counts = Counts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        // What cannot be parsed is for the validator to name.
        let Ok(payload) = payload else { return Ok(()) };
        counts.add(&payload);
        if let Some((what, found, most)) = counts.excess(limits) {
            return Err(PolicyLoadError::TooMuch {
                digest,
                what,
                found,
                most,
            });
        }
    }
    Ok(())
}

impl Counts {
    fn add(&mut self, payload: &Payload<'_>) {
        let count = |count: u32| u64::from(count);
        match payload {
            Payload::FunctionSection(section) => self.functions += count(section.count()),
            Payload::CodeSectionEntry(body) => {
                let bytes = body.range().len() as u64;
                self.function_bytes = self.function_bytes.max(bytes);
            }
            Payload::ExportSection(section) => self.exports += count(section.count()),
            Payload::ComponentExportSection(section) => self.exports += count(section.count()),
            Payload::ImportSection(section) => self.imports += count(section.count()),
            Payload::ComponentImportSection(section) => self.imports += count(section.count()),
            Payload::TypeSection(section) => self.types += count(section.count()),
            Payload::CoreTypeSection(section) => self.types += count(section.count()),
            Payload::ComponentTypeSection(section) => self.types += count(section.count()),
            Payload::InstanceSection(section) => self.links += count(section.count()),
            Payload::ComponentInstanceSection(section) => self.links += count(section.count()),
            Payload::ComponentAliasSection(section) => self.links += count(section.count()),
            Payload::ComponentCanonicalSection(section) => self.links += count(section.count()),
            Payload::MemorySection(section) => {
                for memory in section.clone().into_iter().flatten() {
                    let page = 1 << memory.page_size_log2.unwrap_or(16);
                    self.memory_bytes += memory.initial.saturating_mul(page);
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone().into_iter().flatten() {
                    self.table_elements = self.table_elements.max(table.ty.initial);
                }
            }
            Payload::Version {
                encoding: Encoding::Module | Encoding::Component,
                ..
            } => self.parts += 1,
            _ => {}
        }
    }

    /// What there is too much of, how much there is, and how much there may be.
    fn excess(&self, limits: &Limits) -> Option<(&'static str, u64, u64)> {
        [
            ("functions", self.functions, MAX_FUNCTIONS),
            (
                "bytes in one function",
                self.function_bytes,
                MAX_FUNCTION_BYTES,
            ),
            ("exports", self.exports, MAX_EXPORTS),
            ("imports", self.imports, MAX_IMPORTS),
            ("types", self.types, MAX_TYPES),
            ("instances and aliases", self.links, MAX_LINKS),
            ("modules and components", self.parts, MAX_PARTS),
            (
                "bytes of memory from the start (limit `memory-bytes`)",
                self.memory_bytes,
                limits.memory_bytes as u64,
            ),
            (
                "elements in a table from the start (limit `table-elements`)",
                self.table_elements,
                limits.table_elements as u64,
            ),
        ]
        .into_iter()
        .find(|(_, found, most)| found > most)
    }
}
