// libwebrtc's NetEQ over a list of packets, on a simulated clock.
//
//   harness PACKETS SPEECH MIN_DELAY_MS MAX_DELAY_MS PACKET_SAMPLES END_US
//
// PACKETS has a line per packet in order of arrival: arrival in µs, sequence number,
// timestamp at 48 kHz, SSRC, and where in SPEECH (mono, 16 bits, 48 kHz, repeated) its
// PACKET_SAMPLES samples are. A delay of 0 is NetEQ's default.
//
// What comes out are markers, not statistics. For every block of 10 ms up to END_US:
//
//   b TIME_US PLAYOUT_TIMESTAMP CONCEALED REMOVED INSERTED
//
// with the RTP timestamp of the end of the block (- if there is none), 1 if the block is
// concealment, and the samples that time-stretching removed and inserted in it. Then:
//
//   c NS_PER_INSERT NS_PER_BLOCK ALLOCATIONS_PER_INSERT ALLOCATIONS_PER_BLOCK BYTES
//
// medians of the times less an empty reading of the clock, allocations after WARM_UP packets, bytes held at the end.

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "api/audio/audio_frame.h"
#include "api/audio_codecs/L16/audio_decoder_L16.h"
#include "api/audio_codecs/audio_decoder_factory_template.h"
#include "api/neteq/neteq.h"
#include "modules/audio_coding/neteq/default_neteq_factory.h"
#include "rtc_base/logging.h"
#include "system_wrappers/include/clock.h"

namespace {

constexpr int kSampleRateHz = 48000;
constexpr int kPayloadType = 96;
constexpr int64_t kBlockUs = 10000;
// Ten seconds of packets of 20 ms: NetEQ's own start-up is over by then.
constexpr size_t kWarmUp = 500;
// As many as ours takes.
constexpr size_t kEmptyReadings = 1000;

uint64_t allocations = 0;
int64_t bytes_held = 0;

struct Packet {
  int64_t arrival_us;
  uint16_t seq;
  uint32_t timestamp;
  uint32_t ssrc;
  uint64_t offset;
};

struct Spent {
  std::vector<double> ns;
  uint64_t calls_after_warm_up = 0;
  uint64_t allocations_after_warm_up = 0;

  template <typename Call>
  void Measure(bool warm, Call call) {
    const uint64_t before = allocations;
    const auto start = std::chrono::steady_clock::now();
    call();
    const auto end = std::chrono::steady_clock::now();
    if (warm) {
      calls_after_warm_up++;
      allocations_after_warm_up += allocations - before;
    }
    ns.push_back(std::chrono::duration<double, std::nano>(end - start).count());
  }

  double MedianNs() {
    if (ns.empty()) return 0;
    std::nth_element(ns.begin(), ns.begin() + ns.size() / 2, ns.end());
    return ns[ns.size() / 2];
  }

  // Less what it takes to measure nothing.
  double MedianNsBeyond(const double empty_ns) { return std::max(0.0, MedianNs() - empty_ns); }

  double AllocationsPerCall() const {
    return calls_after_warm_up == 0
               ? 0
               : static_cast<double>(allocations_after_warm_up) / calls_after_warm_up;
  }
};

std::vector<Packet> ReadPackets(const char* path) {
  std::vector<Packet> packets;
  FILE* file = std::fopen(path, "r");
  if (file == nullptr) return packets;
  Packet packet;
  while (std::fscanf(file, "%" SCNd64 " %" SCNu16 " %" SCNu32 " %" SCNu32 " %" SCNu64,
                     &packet.arrival_us, &packet.seq, &packet.timestamp, &packet.ssrc,
                     &packet.offset) == 5) {
    packets.push_back(packet);
  }
  std::fclose(file);
  return packets;
}

std::vector<int16_t> ReadSpeech(const char* path) {
  std::vector<int16_t> speech;
  FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return speech;
  int16_t sample;
  while (std::fread(&sample, sizeof sample, 1, file) == 1) speech.push_back(sample);
  std::fclose(file);
  return speech;
}

}  // namespace

void* operator new(size_t size) {
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) std::abort();
  allocations++;
  bytes_held += malloc_usable_size(block);
  return block;
}

void operator delete(void* block) noexcept {
  if (block != nullptr) bytes_held -= malloc_usable_size(block);
  std::free(block);
}

void operator delete(void* block, size_t) noexcept { operator delete(block); }

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: harness PACKETS SPEECH MIN_DELAY_MS MAX_DELAY_MS PACKET_SAMPLES END_US\n");
    return 2;
  }
  const std::vector<Packet> packets = ReadPackets(argv[1]);
  const std::vector<int16_t> speech = ReadSpeech(argv[2]);
  const size_t packet_samples = std::strtoul(argv[5], nullptr, 10);
  const int64_t end_us = std::strtoll(argv[6], nullptr, 10);
  if (packets.empty() || speech.empty() || packet_samples == 0) {
    std::fprintf(stderr, "no packets in %s, or no samples in %s\n", argv[1], argv[2]);
    return 1;
  }
  rtc::LogMessage::LogToDebug(rtc::LS_NONE);

  std::vector<uint8_t> payload(2 * packet_samples);
  Spent inserting, playing;
  inserting.ns.reserve(packets.size());
  playing.ns.reserve((end_us - packets.front().arrival_us) / kBlockUs + 1);
  const int64_t held_before = bytes_held;

  // Any start but zero, which NetEQ takes for "never".
  webrtc::SimulatedClock clock(1000000000);
  webrtc::NetEq::Config config;
  config.sample_rate_hz = kSampleRateHz;
  config.enable_fast_accelerate = true;  // as libwebrtc's calls have it
  config.min_delay_ms = std::atoi(argv[3]);
  config.max_delay_ms = std::atoi(argv[4]);
  const std::unique_ptr<webrtc::NetEq> neteq = webrtc::DefaultNetEqFactory().CreateNetEq(
      config, webrtc::CreateAudioDecoderFactory<webrtc::AudioDecoderL16>(), &clock);
  neteq->RegisterPayloadType(kPayloadType, webrtc::SdpAudioFormat("l16", kSampleRateHz, 1));

  size_t next = 0;
  uint64_t removed = 0, inserted = 0;
  webrtc::AudioFrame frame;
  for (int64_t now = packets.front().arrival_us; now < end_us; now += kBlockUs) {
    for (; next < packets.size() && packets[next].arrival_us <= now; next++) {
      const Packet& packet = packets[next];
      for (size_t k = 0; k < packet_samples; k++) {
        const uint16_t sample = speech[(packet.offset + k) % speech.size()];
        payload[2 * k] = sample >> 8;
        payload[2 * k + 1] = sample & 0xff;
      }
      webrtc::RTPHeader header;
      header.payloadType = kPayloadType;
      header.sequenceNumber = packet.seq;
      header.timestamp = packet.timestamp;
      header.ssrc = packet.ssrc;
      inserting.Measure(next >= kWarmUp, [&] { neteq->InsertPacket(header, payload); });
    }
    bool muted;
    playing.Measure(next >= kWarmUp, [&] { neteq->GetAudio(&frame, &muted); });

    const auto timestamp = neteq->GetPlayoutTimestamp();
    const auto lifetime = neteq->GetLifetimeStatistics();
    const bool concealed = frame.speech_type_ != webrtc::AudioFrame::kNormalSpeech;
    if (timestamp) {
      std::printf("b %" PRId64 " %" PRIu32 " %d %" PRIu64 " %" PRIu64 "\n", now, *timestamp,
                  concealed, lifetime.removed_samples_for_acceleration - removed,
                  lifetime.inserted_samples_for_deceleration - inserted);
    } else {
      std::printf("b %" PRId64 " - 1 0 0\n", now);
    }
    removed = lifetime.removed_samples_for_acceleration;
    inserted = lifetime.inserted_samples_for_deceleration;
    clock.AdvanceTimeMicroseconds(kBlockUs);
  }
  const int64_t held = bytes_held - held_before;
  Spent nothing;
  nothing.ns.reserve(kEmptyReadings);
  for (size_t n = 0; n < kEmptyReadings; n++) nothing.Measure(false, [] {});
  const double empty_ns = nothing.MedianNs();
  std::printf("c %.1f %.1f %.3f %.3f %" PRId64 "\n", inserting.MedianNsBeyond(empty_ns),
              playing.MedianNsBeyond(empty_ns), inserting.AllocationsPerCall(),
              playing.AllocationsPerCall(), held);
  return 0;
}
