package main

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
)

// recordSeries lets both event recorders of client-go tell of the Pod "web" again and again: the one of core/v1 and the
// one of events.k8s.io/v1. They write behind it, as they do in every controller.
//
// The newer one tells the server how a series goes on after half an hour only, so that step is sent by its sink, as it
// sends it.
func recordSeries(ctx context.Context, config *rest.Config, namespace string, times int) {
	clients, err := kubernetes.NewForConfig(config)
	must(err)
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: namespace, UID: types.UID("pod-1")},
	}

	older := record.NewBroadcaster(record.WithContext(ctx))
	older.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: clients.CoreV1().Events("")})
	olderRecorder := older.NewRecorder(clientscheme.Scheme, corev1.EventSource{Component: "old-recorder", Host: "node-1"})

	sink := &events.EventSinkImpl{Interface: clients.EventsV1()}
	newer := events.NewBroadcaster(sink)
	must(newer.StartRecordingToSinkWithContext(ctx))
	newerRecorder := newer.NewRecorder(clientscheme.Scheme, "example.com/new-recorder")

	for range times {
		olderRecorder.Event(pod, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container")
		newerRecorder.Eventf(pod, nil, corev1.EventTypeNormal, "Pulling", "Pull", "Pulling the image")
	}

	series := waitForSeries(ctx, clients, namespace)
	series.Series = &eventsv1.EventSeries{Count: int32(times), LastObservedTime: metav1.NowMicro()}
	patch, err := json.Marshal(map[string]any{"series": series.Series})
	must(err)
	patched, err := sink.Patch(ctx, series, patch)
	must(err)
	print(line{Client: "recorder", Type: "update", Resource: "events", Namespace: namespace, Name: patched.Name,
		ResourceVersion: patched.ResourceVersion})
}

// waitForSeries until the recorder has begun one.
func waitForSeries(ctx context.Context, clients *kubernetes.Clientset, namespace string) *eventsv1.Event {
	for {
		list, err := clients.EventsV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Pulling"})
		must(err)
		for _, event := range list.Items {
			if event.Series != nil {
				return &event
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}
