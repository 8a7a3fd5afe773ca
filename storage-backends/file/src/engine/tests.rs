//! The engine under the suite that every store runs, on a simulated disk.

use std::path::Path;

use std::net::{IpAddr, Ipv4Addr};

use dunlin_api::{Env, Logger, MemoryDisk, Secret, StoreBackend, StoreError};
use dunlin_net::sim::{SimWorld, sim_env_with};
use dunlin_store_conformance::Harness;

use super::{FileBackend, FileStoreOptions};
use crate::crypt::{Cipher, KeyRing};

mod crash_points;

/// A store directory on a simulated disk.
struct Simulated {
    disk: MemoryDisk,
    runtime: tokio::runtime::Runtime,
    backend: Option<FileBackend>,
    keys: Option<KeyRing>,
}

impl Simulated {
    fn new() -> Self {
        let mut simulated = Self::on_empty_disk();
        simulated.open();
        simulated
    }

    fn encrypted(cipher: Cipher) -> Self {
        let mut simulated = Self::on_empty_disk();
        simulated.keys = Some(KeyRing::new(cipher, Secret::new("key"), None));
        simulated.open();
        simulated
    }

    fn on_empty_disk() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            disk: MemoryDisk::default(),
            runtime,
            backend: None,
            keys: None,
        }
    }

    fn env(&self) -> Env {
        let _inside = self.runtime.enter();
        let host = SimWorld::new(1).host(IpAddr::V4(Ipv4Addr::LOCALHOST));
        sim_env_with(7, host, Logger::silent(), self.disk.clone())
    }

    fn open(&mut self) {
        self.try_open().unwrap();
    }

    fn try_open(&mut self) -> Result<(), StoreError> {
        let mut options = FileStoreOptions::new(Path::new("/store"));
        options.journal.segment_bytes = 1 << 20;
        options.keys = self.keys.clone();
        let (backend, recovery) = FileBackend::open_by_hand(&self.env(), options)?;
        assert_eq!(recovery.set_aside, []);
        self.backend = Some(backend);
        Ok(())
    }
}

impl Harness for Simulated {
    fn backend(&self) -> &dyn StoreBackend {
        self.backend.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.backend.take().unwrap().close().unwrap();
        self.open();
    }

    fn crash(&mut self) {
        self.backend = None;
        self.disk.crash();
        self.open();
    }

    fn poll(&mut self) {
        self.backend.as_ref().unwrap().turn();
    }

    fn cool(&mut self) {
        self.backend.as_ref().unwrap().cool();
    }
}

dunlin_store_conformance::suite!(file, || Box::new(Simulated::new()));
dunlin_store_conformance::suite!(encrypted, || Box::new(Simulated::encrypted(Cipher::ChaCha)));
