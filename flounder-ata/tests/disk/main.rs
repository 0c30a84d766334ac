//! Interfaces over disks: over the model, which is hard on a driver, and over QEMU.

mod against_the_model;
mod contract;
mod exercise;
mod over_qemu;
mod rules;
mod shapes;

flounder::flounder! { file = "if/ata_rw28.if"; }
flounder::flounder! { file = "if/ata_rw48.if"; }
