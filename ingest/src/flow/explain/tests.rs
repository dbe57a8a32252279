//! What people are shown of datagrams of each version.

use expect_test::{Expect, expect};

use crate::flow::FlowDecoder;
use crate::flow::hostile::{flow_frame, ipfix, ipfix_template, set, sflow_datagram, v9, words};

fn check(datagrams: &[Vec<u8>], expected: Expect) {
    let (mut decoder, mut text) = (FlowDecoder::default(), String::new());
    for (seq, datagram) in (1..).zip(datagrams) {
        let frame = flow_frame("192.0.2.1", seq, datagram);
        decoder.decode(&frame, &mut Vec::new());
        for item in decoder.items(&frame) {
            let fields: Vec<_> = item.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text += &format!("{} {} ({} flows): {}\n", item.kind.name(), item.id, item.flows.len(), fields.join(" "));
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn elements_that_nobody_keeps_are_shown() {
    let template =
        ipfix_template(256, &[(0, 8, 4), (0, 1, 4), (0, 82, 12), (0, 351, 8), (6_871, 33, 2), (9_999, 1, 65_535), (29_305, 1, 2)]);
    let mut record = vec![10, 0, 0, 1, 0, 0, 1, 0];
    record.extend(b"Gi0/1\0\0\0\0\0\0\0");
    record.extend([0, 0, 0, 0, 0, 0, 0, 42, 0, 80, 3, 1, 2, 3, 0, 7]);
    check(
        &[ipfix(0, 1, &[set(2, &template), set(256, &record)])],
        expect![[r#"
            flow 256 (2 flows): sourceIPv4Address="10.0.0.1" octetDeltaCount=256 82="Gi0/1" 351=42 6871:33=80 9999:1="0x010203" reverse:octetDeltaCount=7
        "#]],
    );
    // Options of NetFlow v9: the scope has numbers of its own.
    let options = [&[1u8, 2][..], &[0, 4, 0, 4, 0, 2, 0, 4, 0, 34, 0, 4]].concat();
    check(
        &[v9(0, 1, &[set(1, &options), set(258, &[0, 0, 0, 9, 0, 0, 0, 50])])],
        expect![[r#"
            options 258 (0 flows): scope:interface=9 samplingInterval=50
        "#]],
    );
}

#[test]
fn the_counters_of_switches_are_shown() {
    let generic = [words(&[1, 6, 0, 1_000_000_000, 1, 3, 0, 99]), words(&[1; 6]), words(&[0, 77]), words(&[2; 6])].concat();
    let tagged = |format: u32, body: &[u8]| [words(&[format, body.len() as u32]), body.to_vec()].concat();
    let sample = tagged(2, &[words(&[7, 3, 2]), tagged(1, &generic), tagged(0x0000_2001, &[1, 2, 3, 4])].concat());
    let flow = tagged(
        1,
        &[
            words(&[1, 7, 512, 9_000, 2, 7, 3, 2]),
            tagged(3, &words(&[60, 17, 0xc000_0201, 0xc633_6402, 53, 53, 0, 8])),
            tagged(999, &[9; 4]),
        ]
        .concat(),
    );
    check(
        &[sflow_datagram(1, &[sample, flow, tagged(0x00ff_f001, &[1, 2, 3, 4])])],
        expect![[r#"
            counters 2 (0 flows): sequence=7 sourceId=3 ifIndex=1 ifType=6 ifSpeed=1000000000 ifDirection=1 ifStatus=3 ifInOctets=99 ifInUcastPkts=1 ifInMulticastPkts=1 ifInBroadcastPkts=1 ifInDiscards=1 ifInErrors=1 ifInUnknownProtos=1 ifOutOctets=77 ifOutUcastPkts=2 ifOutMulticastPkts=2 ifOutBroadcastPkts=2 ifOutDiscards=2 ifOutErrors=2 ifPromiscuousMode=2 record:2:1="0x01020304"
            flow 1 (1 flows): sequence=1 sourceId=7 samplingRate=512 samplePool=9000 drops=2 input=7 output=3 record:0:3="0x0000003c00000011c0000201c633640200000035000000350000000000000008" record:0:999="0x09090909"
            other 16773121 (0 flows): bytes="0x01020304"
        "#]],
    );
}
