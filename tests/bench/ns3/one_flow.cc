// One TCP flow over one drop-tail bottleneck in ns-3; prints one line of JSON.
//
// Two nodes and one point-to-point link. The only queue is that of the sender's device: as in our
// links, the packet that is being sent is not in it. On the wire a full segment has 1502 bytes: 1448
// of payload, 12 of time stamps, 20 of TCP, 20 of IPv4 and 2 of PPP.

#include <ns3/applications-module.h>
#include <ns3/core-module.h>
#include <ns3/internet-module.h>
#include <ns3/network-module.h>
#include <ns3/point-to-point-module.h>
#include <ns3/traffic-control-module.h>

#include <chrono>
#include <deque>
#include <iostream>
#include <string>

using namespace ns3;

namespace
{

constexpr uint32_t PAYLOAD = 1448;
constexpr uint32_t WIRE = 1502;
constexpr uint32_t SOCKET_BYTES = 1 << 28; // never what limits the flow

struct Account
{
    std::deque<Time> waiting;
    double measureFrom = 0.0;
    double waitSum = 0.0; // s
    uint64_t served = 0;
    uint64_t sent = 0;
    uint64_t dropped = 0;
    uint64_t delivered = 0; // bytes of payload

    bool Measures() const
    {
        return Simulator::Now().GetSeconds() >= measureFrom;
    }

    void Enqueued(Ptr<const Packet> packet)
    {
        waiting.push_back(Simulator::Now());
        sent += packet->GetSize() == WIRE;
    }

    void Dequeued(Ptr<const Packet> packet)
    {
        const Time wait = Simulator::Now() - waiting.front();
        waiting.pop_front();
        if (packet->GetSize() == WIRE && Measures())
        {
            waitSum += wait.GetSeconds();
            ++served;
        }
    }

    void Dropped(Ptr<const Packet> packet)
    {
        const uint32_t full = packet->GetSize() > PAYLOAD;
        sent += full;
        dropped += full;
    }

    void Received(Ptr<const Packet> packet, const Address&)
    {
        delivered += Measures() ? packet->GetSize() : 0;
    }
};

struct Options
{
    std::string controller = "TcpCubic";
    double rateBps = 1e8;
    double delayMs = 15.0;
    uint32_t queue = 250;
    double seconds = 60.0;
    double measureFrom = 0.0;
    uint32_t ackEvery = 1;
    bool hystart = false;
    bool fastConvergence = true;
    bool friendly = true;
};

Options
Parse(int argc, char** argv)
{
    Options options;
    CommandLine line;
    line.AddValue("controller", "TcpCubic, TcpLinuxReno or TcpBbr", options.controller);
    line.AddValue("rate", "bit/s", options.rateBps);
    line.AddValue("delay", "one way, ms", options.delayMs);
    line.AddValue("queue", "packets that may wait", options.queue);
    line.AddValue("seconds", "simulated", options.seconds);
    line.AddValue("from", "goodput and delay count from here on, s", options.measureFrom);
    line.AddValue("ack-every", "packets per ACK", options.ackEvery);
    line.AddValue("hystart", "of CUBIC", options.hystart);
    line.AddValue("fast-convergence", "of CUBIC", options.fastConvergence);
    line.AddValue("friendly", "CUBIC's Reno-friendly region", options.friendly);
    line.Parse(argc, argv);
    return options;
}

void
Configure(const Options& options)
{
    Config::SetDefault("ns3::TcpL4Protocol::SocketType",
                       TypeIdValue(TypeId::LookupByName("ns3::" + options.controller)));
    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(PAYLOAD));
    Config::SetDefault("ns3::TcpSocket::InitialCwnd", UintegerValue(10));
    Config::SetDefault("ns3::TcpSocket::DelAckCount", UintegerValue(options.ackEvery));
    Config::SetDefault("ns3::TcpSocket::DelAckTimeout", TimeValue(MilliSeconds(40)));
    Config::SetDefault("ns3::TcpSocket::SndBufSize", UintegerValue(SOCKET_BYTES));
    Config::SetDefault("ns3::TcpSocket::RcvBufSize", UintegerValue(SOCKET_BYTES));
    Config::SetDefault("ns3::TcpSocketBase::MinRto", TimeValue(MilliSeconds(200)));
    Config::SetDefault("ns3::TcpSocketBase::Sack", BooleanValue(true));
    Config::SetDefault("ns3::TcpSocketBase::Timestamp", BooleanValue(true));
    Config::SetDefault("ns3::TcpCubic::HyStart", BooleanValue(options.hystart));
    Config::SetDefault("ns3::TcpCubic::FastConvergence", BooleanValue(options.fastConvergence));
    Config::SetDefaultFailSafe("ns3::TcpCubic::TcpFriendliness", BooleanValue(options.friendly));
}

NetDeviceContainer
Connect(const NodeContainer& nodes, const Options& options)
{
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", DataRateValue(DataRate(uint64_t(options.rateBps))));
    link.SetChannelAttribute("Delay", TimeValue(NanoSeconds(int64_t(options.delayMs * 1e6))));
    link.SetQueue("ns3::DropTailQueue", "MaxSize", QueueSizeValue(QueueSize(PACKETS, options.queue)));
    NetDeviceContainer devices = link.Install(nodes);
    InternetStackHelper().Install(nodes);
    return devices;
}

} // namespace

int
main(int argc, char** argv)
{
    const Options options = Parse(argc, argv);
    Configure(options);
    NodeContainer nodes;
    nodes.Create(2);
    NetDeviceContainer devices = Connect(nodes, options);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    Ipv4InterfaceContainer interfaces = addresses.Assign(devices);
    // Giving addresses installs FqCoDel above the devices; the device's own queue is to be the only one.
    TrafficControlHelper().Uninstall(devices);

    Account account;
    account.measureFrom = options.measureFrom;
    auto queue = DynamicCast<PointToPointNetDevice>(devices.Get(0))->GetQueue();
    queue->TraceConnectWithoutContext("Enqueue", MakeCallback(&Account::Enqueued, &account));
    queue->TraceConnectWithoutContext("Dequeue", MakeCallback(&Account::Dequeued, &account));
    // A full device queue stops the layer above it, and that is where packets are then dropped.
    nodes.Get(0)->GetObject<TrafficControlLayer>()->TraceConnectWithoutContext(
        "TcDrop",
        MakeCallback(&Account::Dropped, &account));

    const InetSocketAddress target(interfaces.GetAddress(1), 5000);
    BulkSendHelper source("ns3::TcpSocketFactory", target);
    source.Install(nodes.Get(0)).Start(Seconds(0.0));
    PacketSinkHelper sink("ns3::TcpSocketFactory", target);
    ApplicationContainer sinks = sink.Install(nodes.Get(1));
    sinks.Start(Seconds(0.0));
    sinks.Get(0)->TraceConnectWithoutContext("Rx", MakeCallback(&Account::Received, &account));

    Simulator::Stop(Seconds(options.seconds));
    const auto began = std::chrono::steady_clock::now();
    Simulator::Run();
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
    const uint64_t events = Simulator::GetEventCount();
    Simulator::Destroy();

    const double measured = options.seconds - options.measureFrom;
    std::cout.precision(12);
    std::cout << "{\"goodput_bps\": " << account.delivered * 8.0 / measured
              << ", \"mean_wait_s\": " << account.waitSum / std::max<uint64_t>(1, account.served)
              << ", \"packets_sent\": " << account.sent << ", \"packets_dropped\": " << account.dropped
              << ", \"events\": " << events << ", \"wall_s\": " << wall.count() << "}" << std::endl;
    return 0;
}
