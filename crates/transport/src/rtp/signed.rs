//! Reports from a source that the other end knows.

use paceline_types::Ssrc;
use rtcp::Packet;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::receiver_report::ReceiverReport;
use rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

/// Has the packets say that they are from one of our sources, the first, if they do not.
///
/// Interceptors make a source up by chance. By one of ours the other end can tell a report from
/// a forgery before it looks into it, and remembers no more than these.
pub(super) fn sign(packets: &mut [Box<dyn Packet>], ours: &[Ssrc]) {
    // Who only receives has none.
    let source = ours.first().map_or(0, |ssrc| ssrc.get());
    for packet in packets {
        let any = packet.as_any();
        let is_ours = |ssrc: u32| ours.contains(&Ssrc::new(ssrc));
        let signed: Box<dyn Packet> = if let Some(report) = any.downcast_ref::<ReceiverReport>()
            && !is_ours(report.ssrc)
        {
            Box::new(ReceiverReport { ssrc: source, ..report.clone() })
        } else if let Some(feedback) = any.downcast_ref::<TransportLayerCc>()
            && !is_ours(feedback.sender_ssrc)
        {
            Box::new(TransportLayerCc { sender_ssrc: source, ..feedback.clone() })
        } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>()
            && !is_ours(nack.sender_ssrc)
        {
            Box::new(TransportLayerNack { sender_ssrc: source, ..nack.clone() })
        } else if let Some(loss) = any.downcast_ref::<PictureLossIndication>()
            && !is_ours(loss.sender_ssrc)
        {
            Box::new(PictureLossIndication { sender_ssrc: source, ..loss.clone() })
        } else if let Some(request) = any.downcast_ref::<FullIntraRequest>()
            && !is_ours(request.sender_ssrc)
        {
            Box::new(FullIntraRequest { sender_ssrc: source, ..request.clone() })
        } else {
            continue;
        };
        *packet = signed;
    }
}
