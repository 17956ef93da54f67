use std::collections::BTreeMap;

use contract::{Order, ReportedSku};

/// Orders added up, in all and of each SKU.
#[derive(Default)]
pub struct Tally {
    pub orders: u64,
    pub pieces: u64,
    skus: BTreeMap<String, (u64, u64)>,
}

impl Tally {
    pub fn add(&mut self, order: &Order) {
        let pieces = u64::from(order.quantity);
        self.orders += 1;
        self.pieces += pieces;
        let sku = self.skus.entry(order.sku.clone()).or_default();
        sku.0 += 1;
        sku.1 += pieces;
    }

    /// Sorted by SKU.
    pub fn into_skus(self) -> Vec<ReportedSku> {
        self.skus.into_iter().map(|(sku, (orders, pieces))| ReportedSku { sku, orders, pieces }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_the_same_sku_are_added_up_and_skus_sorted() {
        let mut tally = Tally::default();
        for (sku, quantity) in [("B-2", 3), ("A-1", 10_000), ("B-2", 4), ("a-1", 1)] {
            let order = format!(r#"{{"id":"1","sku":"{sku}","quantity":{quantity},"created_at":""}}"#);
            tally.add(&serde_json::from_str(&order).unwrap());
        }
        assert_eq!((tally.orders, tally.pieces), (4, 10_008));
        let skus = tally.into_skus();
        let skus: Vec<_> = skus.iter().map(|sku| (sku.sku.as_str(), sku.orders, sku.pieces)).collect();
        assert_eq!(skus, [("A-1", 1, 10_000), ("B-2", 2, 7), ("a-1", 1, 1)]);
    }
}
