//! What a component is made of, read before it is compiled: what it imports and exports, who made it, and how
//! much of everything there is. Compiling is where a small file can ask for much time and memory.

use portcullis_types::Sha256Digest;
use wasmparser::{
    BinaryReader, ComponentExternName, ComponentTypeRef, Encoding, KnownCustom, Parser, Payload,
    ProducersSectionReader,
};

use crate::component::imports;
use crate::contract::v0_1;
use crate::error::PolicyLoadError;
use crate::{Limits, PolicyKind};

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

/// The most names of tools that are kept.
const MAX_PRODUCERS: usize = 64;

/// What a component is made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The digest of the file.
    pub digest: Sha256Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What it imports, by name.
    pub imports: Vec<String>,
    /// What it exports, by name.
    pub exports: Vec<String>,
    /// What made it, as far as it says so: languages, compilers and tools with their versions.
    pub producers: Vec<(String, String)>,
    /// Functions of all modules together.
    pub functions: u64,
    /// Linear memory in bytes from the start, all memories together.
    pub memory_bytes: u64,
    counts: Counts,
    /// Imports that are no interfaces.
    odd_imports: Vec<String>,
    /// How deep the parts of the file are nested at this place while it is read.
    depth: u32,
    is_whole: bool,
}

/// What else is counted.
#[derive(Clone, Debug, Default)]
struct Counts {
    function_bytes: u64,
    exports: u64,
    imports: u64,
    types: u64,
    links: u64,
    parts: u64,
    table_elements: u64,
}

impl Shape {
    /// Reads it, without compiling or validating anything. What cannot be parsed is left to the validator.
    ///
    /// # Errors
    ///
    /// The file is a core module.
    pub fn read(bytes: &[u8]) -> Result<Self, PolicyLoadError> {
        let digest = Sha256Digest::of(bytes);
        if bytes.starts_with(b"\0asm") && !Parser::is_component(bytes) {
            return Err(PolicyLoadError::CoreModule(digest));
        }
        let mut shape = Self {
            digest,
            size_bytes: bytes.len() as u64,
            imports: Vec::new(),
            exports: Vec::new(),
            producers: Vec::new(),
            functions: 0,
            memory_bytes: 0,
            counts: Counts::default(),
            odd_imports: Vec::new(),
            depth: 0,
            is_whole: false,
        };
        for payload in Parser::new(0).parse_all(bytes) {
            let Ok(payload) = payload else {
                return Ok(shape);
            };
            shape.add(&payload);
        }
        shape.is_whole = true;
        Ok(shape)
    }

    /// All that keeps it from being compiled: too much of something, an import that policies may not have,
    /// another contract than ours.
    pub fn problems(&self, limits: &Limits) -> Vec<PolicyLoadError> {
        let digest = self.digest;
        let mut problems: Vec<_> = self
            .excesses(limits)
            .map(|(what, found, most, advice)| PolicyLoadError::TooMuch {
                digest,
                what,
                found,
                most,
                advice,
            })
            .collect();
        if !self.is_whole {
            return problems;
        }
        let is_odd = |name: &String| self.odd_imports.contains(name);
        let names = self.imports.iter();
        let forbidden: Vec<_> = names
            .filter_map(|name| imports::forbidden(name, is_odd(name)))
            .collect();
        if !forbidden.is_empty() {
            problems.push(PolicyLoadError::ForbiddenImports {
                imports: forbidden,
                digest,
            });
        }
        problems.extend(self.kind().err());
        problems
    }

    /// Which kind of policy it is.
    ///
    /// # Errors
    ///
    /// It is neither, or one of another version of the contract.
    pub fn kind(&self) -> Result<PolicyKind, PolicyLoadError> {
        let digest = self.digest;
        let has = |name: &str| self.exports.iter().any(|export| export == name);
        match (has(v0_1::VALIDATION), has(v0_1::ROUTING)) {
            (true, false) => return Ok(PolicyKind::Validation),
            (false, true) => return Ok(PolicyKind::Routing),
            _ => {}
        }
        let other = self.exports.iter().find_map(|name| {
            let (interface, version) = name.split_once('@')?;
            interface
                .starts_with("portcullis:policy/")
                .then_some(version)
        });
        Err(match other {
            Some(version) if self.exports.len() == 1 => PolicyLoadError::Version {
                digest,
                version: version.to_owned(),
            },
            _ => PolicyLoadError::Contract(digest),
        })
    }

    fn add(&mut self, payload: &Payload<'_>) {
        let count = |count: u32| u64::from(count);
        let counts = &mut self.counts;
        match payload {
            Payload::Version { encoding, .. } => {
                self.depth += 1;
                if matches!(encoding, Encoding::Module | Encoding::Component) {
                    counts.parts += 1;
                }
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::FunctionSection(section) => self.functions += count(section.count()),
            Payload::CodeSectionEntry(body) => {
                let bytes = body.range().len() as u64;
                counts.function_bytes = counts.function_bytes.max(bytes);
            }
            Payload::ExportSection(section) => counts.exports += count(section.count()),
            Payload::ComponentExportSection(section) => {
                counts.exports += count(section.count());
                if self.depth == 1 {
                    let exports = section.clone().into_iter().flatten();
                    self.exports
                        .extend(exports.map(|export| name_of(&export.name)));
                }
            }
            Payload::ImportSection(section) => counts.imports += count(section.count()),
            Payload::ComponentImportSection(section) => {
                counts.imports += count(section.count());
                if self.depth == 1 {
                    for import in section.clone().into_iter().flatten() {
                        let name = name_of(&import.name);
                        if !matches!(import.ty, ComponentTypeRef::Instance(_)) {
                            self.odd_imports.push(name.clone());
                        }
                        self.imports.push(name);
                    }
                }
            }
            Payload::TypeSection(section) => counts.types += count(section.count()),
            Payload::CoreTypeSection(section) => counts.types += count(section.count()),
            Payload::ComponentTypeSection(section) => counts.types += count(section.count()),
            Payload::InstanceSection(section) => counts.links += count(section.count()),
            Payload::ComponentInstanceSection(section) => counts.links += count(section.count()),
            Payload::ComponentAliasSection(section) => counts.links += count(section.count()),
            Payload::ComponentCanonicalSection(section) => counts.links += count(section.count()),
            Payload::MemorySection(section) => {
                for memory in section.clone().into_iter().flatten() {
                    let page = 1 << memory.page_size_log2.unwrap_or(16);
                    self.memory_bytes += memory.initial.saturating_mul(page);
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone().into_iter().flatten() {
                    counts.table_elements = counts.table_elements.max(table.ty.initial);
                }
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(producers) = section.as_known() {
                    self.add_producers(producers);
                } else if section.name() == "producers" {
                    let reader = BinaryReader::new(section.data(), section.data_offset());
                    if let Ok(producers) = ProducersSectionReader::new(reader) {
                        self.add_producers(producers);
                    }
                }
            }
            _ => {}
        }
    }

    fn add_producers(&mut self, producers: ProducersSectionReader<'_>) {
        for field in producers.into_iter().flatten() {
            for value in field.values.into_iter().flatten() {
                let producer = (value.name.to_owned(), value.version.to_owned());
                if self.producers.len() < MAX_PRODUCERS && !self.producers.contains(&producer) {
                    self.producers.push(producer);
                }
            }
        }
    }

    /// What there is too much of, how much there is, how much there may be, and what to do.
    fn excesses(
        &self,
        limits: &Limits,
    ) -> impl Iterator<Item = (&'static str, u64, u64, &'static str)> {
        const SMALLER: &str = "leave out what the policy does not need, or make two of it";
        let counts = &self.counts;
        [
            ("functions", self.functions, MAX_FUNCTIONS, SMALLER),
            (
                "bytes in one function",
                counts.function_bytes,
                MAX_FUNCTION_BYTES,
                "divide it",
            ),
            ("exports", counts.exports, MAX_EXPORTS, SMALLER),
            ("imports", counts.imports, MAX_IMPORTS, SMALLER),
            ("types", counts.types, MAX_TYPES, SMALLER),
            ("instances and aliases", counts.links, MAX_LINKS, SMALLER),
            ("modules and components", counts.parts, MAX_PARTS, SMALLER),
            (
                "bytes of memory from the start",
                self.memory_bytes,
                limits.memory_bytes as u64,
                "raise `memory-bytes` in its `limits` in the policy set",
            ),
            (
                "elements in a table from the start",
                counts.table_elements,
                limits.table_elements as u64,
                "raise `table-elements` in its `limits` in the policy set",
            ),
        ]
        .into_iter()
        .filter(|(_, found, most, _)| found > most)
    }
}

fn name_of(name: &ComponentExternName<'_>) -> String {
    name.name.to_owned()
}
