//! The pair as its users see it. One binary, so that it is linked once.

mod bad_input;
mod dependency_rule;
mod deploy;
mod dev;
mod doctor;
mod faults;
mod files;
mod hop;
mod hostile;
mod hygiene;
mod kills;
mod life;
mod logs;
mod memory;
mod metrics;
mod operating;
mod policy_tool;
mod promises;
mod quarantine;
mod reload;
mod revisions;
mod tables;
mod traces;
mod tus;
mod upload_tool;
mod uploads;
