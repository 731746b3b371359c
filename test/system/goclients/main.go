// Command goclients follows activities and ActivityPolicies with the clients that Go programs use, and prints what each of
// them saw: one JSON object a line on stdout. It ends when its stdin does, after a last line for each client with what the
// client then holds.
//
// With --record-in it writes Events with both event recorders of client-go instead.
//
// Its clients: informers of client-go (dynamic, metadata as the garbage collector has them, typed) and a manager of
// controller-runtime. Whether they use WatchList is KUBE_FEATURE_WatchListClient's to say.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// line is one thing that a client saw.
type line struct {
	Client string `json:"client"`
	// synced, add, update, delete, reconcile, request, holds
	Type            string `json:"type"`
	Resource        string `json:"resource,omitempty"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name,omitempty"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
	// Of a request to our group: its query, and the status of its answer, 0 when there was none.
	Query  string `json:"query,omitempty"`
	Status int    `json:"status,omitempty"`
	// By "namespace/name", the resourceVersion.
	Holds map[string]string `json:"holds,omitempty"`
}

var printing sync.Mutex

func print(one line) {
	printing.Lock()
	defer printing.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(one)
}

// resync is short, so that many of them fall into a test: informers then tell their handlers everything again.
const resync = 5 * time.Second

var groupVersion = schema.GroupVersion{Group: "activity.miloapis.com", Version: "v1alpha1"}
var resources = []string{"activities", "activitypolicies"}

func main() {
	// controller-runtime has a flag --kubeconfig of its own.
	recordIn := flag.String("record-in", "", "record Events in this namespace, and follow nothing")
	flag.Parse()
	klog.SetOutput(os.Stderr)
	log.SetLogger(klog.Background())

	configOf := func(name string) *rest.Config {
		config, err := ctrl.GetConfig()
		must(err)
		config.QPS, config.Burst = 200, 400
		config.UserAgent = "goclients-" + name
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &recording{name, next} })
		return config
	}

	ctx, cancel := context.WithCancel(context.Background())
	if *recordIn != "" {
		recordSeries(ctx, configOf("recorder"), *recordIn, 5)
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		return
	}
	var running sync.WaitGroup
	var last []func()
	start := func(name, resource string, informer cache.SharedIndexInformer) {
		_, err := informer.AddEventHandlerWithResyncPeriod(handler(name, resource), resync)
		must(err)
		running.Go(func() { informer.RunWithContext(ctx) })
		running.Go(func() {
			if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
				print(line{Client: name, Type: "synced", Resource: resource})
			}
		})
		last = append(last, func() {
			holds := map[string]string{}
			for _, object := range informer.GetStore().List() {
				accessor, err := meta.Accessor(object)
				must(err)
				holds[accessor.GetNamespace()+"/"+accessor.GetName()] = accessor.GetResourceVersion()
			}
			print(line{Client: name, Type: "holds", Resource: resource, Holds: holds})
		})
	}

	dynamicClient, err := dynamic.NewForConfig(configOf("dynamic"))
	must(err)
	metadataClient, err := metadata.NewForConfig(configOf("metadata"))
	must(err)
	typedClient, err := typedClientFor(configOf("typed"))
	must(err)
	dynamics := dynamicinformer.NewDynamicSharedInformerFactory(dynamicClient, 0)
	metadatas := metadatainformer.NewSharedInformerFactory(metadataClient, 0)
	for _, resource := range resources {
		start("dynamic", resource, dynamics.ForResource(groupVersion.WithResource(resource)).Informer())
		start("metadata", resource, metadatas.ForResource(groupVersion.WithResource(resource)).Informer())
		watch := cache.NewListWatchFromClient(typedClient, resource, metav1.NamespaceAll, fields.Everything())
		start("typed", resource, cache.NewSharedIndexInformer(
			cache.ToListWatcherWithWatchListSemantics(watch, typedClient), newObject(resource), 0, cache.Indexers{}))
	}
	last = append(last, startManager(ctx, configOf("manager"), &running))

	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, tell := range last {
		tell()
	}
	cancel()
	running.Wait()
}

func handler(name, resource string) cache.ResourceEventHandlerFuncs {
	tell := func(what string, object any) {
		if gone, is := object.(cache.DeletedFinalStateUnknown); is {
			object = gone.Obj
		}
		accessor, err := meta.Accessor(object)
		must(err)
		print(line{
			Client: name, Type: what, Resource: resource, Namespace: accessor.GetNamespace(),
			Name: accessor.GetName(), ResourceVersion: accessor.GetResourceVersion(),
		})
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { tell("add", object) },
		UpdateFunc: func(_, object any) { tell("update", object) },
		DeleteFunc: func(object any) { tell("delete", object) },
	}
}

// startManager runs a controller for each resource, whose cached client is asked at every reconcile.
func startManager(ctx context.Context, config *rest.Config, running *sync.WaitGroup) func() {
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme(), Metrics: server.Options{BindAddress: "0"}})
	must(err)
	for _, resource := range resources {
		must(ctrl.NewControllerManagedBy(manager).Named(resource).For(newObject(resource).(client.Object)).
			Complete(reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
				object := newObject(resource).(client.Object)
				err := manager.GetClient().Get(ctx, request.NamespacedName, object)
				print(line{
					Client: "manager", Type: "reconcile", Resource: resource, Namespace: request.Namespace,
					Name: request.Name, ResourceVersion: object.GetResourceVersion(),
				})
				return reconcile.Result{}, client.IgnoreNotFound(err)
			})))
	}
	running.Go(func() { must(manager.Start(ctx)) })
	running.Go(func() {
		if manager.GetCache().WaitForCacheSync(ctx) {
			for _, resource := range resources {
				print(line{Client: "manager", Type: "synced", Resource: resource})
			}
		}
	})
	return func() {
		for _, resource := range resources {
			list := newList(resource).(client.ObjectList)
			must(manager.GetClient().List(ctx, list))
			holds := map[string]string{}
			must(meta.EachListItem(list, func(object runtime.Object) error {
				accessor, err := meta.Accessor(object)
				must(err)
				holds[accessor.GetNamespace()+"/"+accessor.GetName()] = accessor.GetResourceVersion()
				return nil
			}))
			print(line{Client: "manager", Type: "holds", Resource: resource, Holds: holds})
		}
	}
}

func typedClientFor(config *rest.Config) (rest.Interface, error) {
	config.APIPath = "/apis"
	config.GroupVersion = &groupVersion
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme()).WithoutConversion()
	return rest.RESTClientFor(config)
}

// recording prints every request to our group, and how it was answered.
type recording struct {
	client string
	next   http.RoundTripper
}

func (r *recording) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	for _, resource := range resources {
		if request.URL.Path == "/apis/"+groupVersion.String()+"/"+resource {
			one := line{Client: r.client, Type: "request", Resource: resource, Query: request.URL.RawQuery}
			if err == nil {
				one.Status = response.StatusCode
			}
			print(one)
		}
	}
	return response, err
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
