//! The engine under the suite that every store runs, on a simulated disk.

use std::path::Path;

use std::net::{IpAddr, Ipv4Addr};

use dunlin_api::{Env, Logger, MemoryDisk, StoreBackend};
use dunlin_net::sim::{SimWorld, sim_env_with};
use dunlin_store_conformance::Harness;

use super::{FileBackend, FileStoreOptions};

/// A store directory on a simulated disk.
struct Simulated {
    disk: MemoryDisk,
    runtime: tokio::runtime::Runtime,
    backend: Option<FileBackend>,
}

impl Simulated {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut simulated = Self {
            disk: MemoryDisk::default(),
            runtime,
            backend: None,
        };
        simulated.open();
        simulated
    }

    fn env(&self) -> Env {
        let _inside = self.runtime.enter();
        let host = SimWorld::new(1).host(IpAddr::V4(Ipv4Addr::LOCALHOST));
        sim_env_with(7, host, Logger::silent(), self.disk.clone())
    }

    fn open(&mut self) {
        let mut options = FileStoreOptions::new(Path::new("/store"));
        options.journal.segment_bytes = 1 << 20;
        let (backend, recovery) = FileBackend::open_by_hand(&self.env(), options).unwrap();
        assert_eq!(recovery.set_aside, []);
        self.backend = Some(backend);
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
