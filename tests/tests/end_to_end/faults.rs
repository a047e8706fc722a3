//! What goes wrong beneath services: they die at any step, disks fill up, fail, stall and lose power. The oracle is
//! always the same: what was acknowledged, compared with disk, catalog and audit.

mod crash_points;
mod disks;
mod model;
mod mount;
mod operation;
mod services;
