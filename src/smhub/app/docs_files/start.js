window.ui = SwaggerUIBundle({ url: "../v1/openapi.json", dom_id: "#ui", deepLinking: true, persistAuthorization: true, validatorUrl: null });
