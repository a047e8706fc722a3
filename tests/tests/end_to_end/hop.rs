//! Services over HTTP keep the contract of every upload store.

use portcullis_hop::contract::Subject;
use portcullis_hop::{ApiKey, HopClient, HopSettings};
use portcullis_tests::gateway::{KEY, Services};

struct OverHttp {
    client: HopClient,
    services: Services,
}

async fn fresh() -> OverHttp {
    let services = Services::start().await.expect("services start");
    let key = ApiKey::parse(KEY).expect("is a key");
    let address = format!("http://{}", services.address());
    let client = HopClient::new(&address, key, HopSettings::default()).expect("is an address");
    OverHttp { client, services }
}

impl Subject for OverHttp {
    type Store = HopClient;

    fn store(&self) -> &HopClient {
        &self.client
    }

    fn visible(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.services.disk("local").root().join(path)).ok()
    }
}

portcullis_hop::store_contract!(fresh);
