//! A disk as a binding: `cargo run --release --example disk`.
//!
//! The disk is one of QEMU if that is installed, and a model in memory otherwise; `--model` takes the model in any case. The
//! program has it identify itself, writes a pattern with 32 commands at once, and reads it back.

use std::fs::File;

use clap::Parser;
use flounder::{Waitset, flounder};
use flounder_ata::model::Model;
use flounder_ata::qemu::Qemu;
use flounder_ata::{Hba, Port, check};

flounder! {
    interface disk "Sectors of a disk" {
        @ata(command=0x25, lba48=1, dma_arg=data, dma_size=bytes, lba=start)
        rpc read(in uint64 start, in uint32 bytes, out uint8 data[size, 65536], out errval status);

        @ata(command=0x35, lba48=1, dma_arg=data, lba=start)
        rpc write(in uint64 start, in uint8 data[size, 65536], out errval status);

        @ata(command=0xEA, lba48=1)
        rpc flush(out errval status);
    };
}

/// Bytes of one write, and number of writes.
const PIECE: usize = 8192;
const PIECES: usize = 32;

#[derive(Parser)]
#[command(about = "Writes to a disk and reads it back")]
struct Options {
    /// Takes the model, although QEMU is installed.
    #[arg(long)]
    model: bool,
}

/// Returns the bytes of piece `i`.
fn pattern(i: usize) -> Vec<u8> {
    0xDEAD_BEEF_u32.to_le_bytes().iter().map(|byte| byte ^ i as u8).cycle().take(PIECE).collect()
}

fn exercise<H: Hba + 'static>(port: &Port<H>) -> Result<(), Box<dyn std::error::Error>> {
    let identity = port.disk();
    let (sectors, bytes) = (identity.sectors(), identity.sector_bytes());
    println!("{} {}: {sectors} sectors of {bytes} bytes", identity.model(), identity.firmware());

    let ws = Waitset::new();
    let binding = disk::over(port.channel(disk::INTERFACE)?, &ws, ())?;
    let client = disk::RpcClient::new(&binding);
    let start = |i: usize| (i * PIECE) as u64 / u64::from(bytes);

    // As many commands are under way as the adapter has slots; others wait for one.
    let written = async {
        let mut calls = Vec::new();
        for i in 0..PIECES {
            calls.push(ws.spawn_local(client.write_async(start(i), &pattern(i))));
        }
        for call in calls {
            check(call.await?)?;
        }
        check(client.flush_async().await?)?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    ws.block_on(written)??;
    println!("wrote {PIECES} times {PIECE} bytes over the driver {}", binding.driver());

    for i in 0..PIECES {
        let (data, status) = client.read(start(i), PIECE as u32)?;
        check(status)?;
        assert!(data == pattern(i), "piece {i} differs");
    }
    println!("read the same");

    let (_, status) = client.read(sectors, bytes)?;
    if let Err(error) = check(status) {
        println!("sector {sectors}: {error}");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if Options::parse().model || !Qemu::is_installed() {
        println!("the disk is a model");
        return exercise(&Port::open(Model::new(4096), 0)?);
    }
    let image = tempfile::NamedTempFile::new()?;
    File::options().write(true).open(image.path())?.set_len(2 << 20)?;
    println!("the disk is one of QEMU");
    exercise(&Port::open(Qemu::start(image.path())?, 0)?)
}
